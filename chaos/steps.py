"""The steps of a worker by their names, and how to come by a gate at each of them.

The code that is under test stays as it is: its methods are wrapped from outside.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from app.runner.attempts.live_effects import LiveEffects
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.media_links import MediaStore
from app.store.jobs.uploads import UploadStore
from app.tiktok.client import Calls
from chaos.gate import Gate, Moment

STEPS: Final[dict[str, tuple[type, str]]] = {
    "claim": (ClaimStore, "claim_due"),
    "access": (LiveEffects, "access"),
    "permit": (LiveEffects, "permit"),
    "creator_info": (Calls, "creator_info"),
    "stamp": (ClaimStore, "stamp_init"),
    "init": (Calls, "init"),
    "photo_init": (Calls, "photo_init"),
    "upload_init": (Calls, "upload_init"),
    "save_upload": (UploadStore, "save"),
    "mark": (UploadStore, "mark"),
    "chunk": (Calls, "upload"),
    "note": (UploadStore, "note"),
    "clear": (ClaimStore, "clear_init"),
    "save_id": (ClaimStore, "save_publish_id"),
    "wait": (LiveEffects, "pause"),
    "status": (Calls, "status"),
    "record": (ClaimStore, "apply"),
    "renew": (LiveEffects, "renew"),
    "refresh": (Calls, "refresh"),
    "save_pair": (AccountStore, "save_refreshed"),
    "revoke": (MediaStore, "revoke"),
}

_step: ContextVar[str] = ContextVar("step", default="")


def install(gate: Gate) -> None:
    """Lead every step of this process past the gate."""
    for step, (owner, name) in STEPS.items():
        setattr(owner, name, _past(gate, step, getattr(owner, name)))
    for name in ("write", "single"):
        setattr(Database, name, _commits_past(gate, getattr(Database, name)))
    Database.run = _runs_past(gate, Database.run)  # type: ignore[method-assign]


def _past(
    gate: Gate, step: str, method: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        await gate.come_by(step, Moment.BEFORE)
        token = _step.set(step)
        try:
            result = await method(*args, **kwargs)
        finally:
            _step.reset(token)
        await gate.come_by(step, Moment.AFTER)
        return result

    return wrapped


def _commits_past(gate: Gate, write: Callable[..., Any]) -> Callable[..., Any]:
    @asynccontextmanager
    async def wrapped(database: Database) -> AsyncIterator[AsyncConnection]:
        async with write(database) as connection:
            yield connection
            gate.come_by_in_write(_step.get())

    return wrapped


def _runs_past(gate: Gate, run: Callable[..., Awaitable[Any]]) -> Any:  # noqa: ANN401
    @wraps(run)
    async def wrapped(*args: Any, writes: bool = True, **kwargs: Any) -> Any:  # noqa: ANN401
        rows = await run(*args, writes=writes, **kwargs)
        if writes:
            gate.come_by_in_write(_step.get())
        return rows

    return wrapped
