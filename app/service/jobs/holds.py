"""Holds: let due jobs wait, and release them."""

from collections.abc import Callable

from msgspec import Struct

from app.domain.api_key import Actor, check_scope
from app.domain.errors import FieldError, InvalidInput, NotFound
from app.domain.jobs.hold import Hold
from app.domain.naming import problem_with_name
from app.machine.clock import Clock
from app.store.jobs.holds import HoldStore


class HoldService(Struct, frozen=True, kw_only=True):
    """Sets, shows and releases holds; ``project_id`` None stands for all projects."""

    store: HoldStore
    clock: Clock
    on_due: Callable[[], None]  # wakes the runner; only a hint

    async def put(self, hold: Hold, *, scope: str | None) -> None:
        """Let due jobs wait; raises NotFound.

        Raises InvalidInput for an end that is past, or what can be no project's name.
        Attempts that have begun run to their end.
        """
        _check(hold.project_id, scope)
        now = self.clock.now()
        if hold.until is not None and hold.until <= now:
            raise InvalidInput(FieldError("/until", "must be in the future"))
        await self.store.put(hold, now=now)

    async def get(self, project_id: str | None, *, scope: str | None) -> Hold:
        """Return the current hold; raises NotFound or InvalidInput."""
        _check(project_id, scope)
        return await self.store.get(project_id, now=self.clock.now())

    async def delete(
        self, project_id: str | None, *, scope: str | None, by: Actor | None = None
    ) -> None:
        """Release a hold: its jobs are due at once.

        Raises NotFound, or InvalidInput for what can be no project's name: an empty one
        would be taken for all projects.
        """
        _check(project_id, scope)
        await self.store.delete(project_id, now=self.clock.now(), by=by)
        self.on_due()


def _check(project_id: str | None, scope: str | None) -> None:
    if project_id is None:
        if scope is not None:
            raise NotFound
    elif problem := problem_with_name(project_id):
        raise InvalidInput(FieldError("/projectId", problem))
    else:
        check_scope(project_id, scope)
