"""Give routes the use cases."""

from typing import Annotated

from fastapi import Depends, Request

from app.use_cases import UseCases


def services_in(request: Request) -> UseCases:
    """Return the use cases of the app."""
    services: UseCases = request.app.state.services
    return services


async def services_of(request: Request) -> UseCases:
    """Return them to a route that depends on them."""
    # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
    return services_in(request)


Wired = Annotated[UseCases, Depends(services_of)]
