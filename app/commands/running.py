"""Run a command's coroutine, with the use cases it needs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from app.container import Container
    from app.use_cases import UseCases

Result = TypeVar("Result")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run(
    program: Coroutine[None, None, Result], *, loop_factory: LoopFactory | None = None
) -> Result:
    """Run a coroutine to its end; Ctrl-C is exit 130."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(program)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def with_container(
    use: "Callable[[Container], Coroutine[None, None, Result]]",
) -> Result:
    """Run a function with a container, and close it."""
    from app.container import open_container
    from app.preparation import prepared

    settings = prepared()

    async def program() -> Result:
        async with open_container(settings) as container:
            await container.hand_in_if_possible()
            return await use(container)

    return run(program())


def with_use_cases(
    use: "Callable[[UseCases], Coroutine[None, None, Result]]",
) -> Result:
    """Run a function with the use cases, as the API does."""
    from app.use_cases import UseCases

    return with_container(lambda container: use(UseCases(container)))
