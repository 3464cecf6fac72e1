"""Give routes the use cases."""

from typing import Annotated

from fastapi import Depends, Request

from app.use_cases import UseCases


async def services_of(request: Request) -> UseCases:
    """Return the use cases of the app."""
    # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
    services: UseCases = request.app.state.services
    return services


Wired = Annotated[UseCases, Depends(services_of)]
