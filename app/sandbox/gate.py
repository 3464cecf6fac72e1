"""The gate that every TikTok call passes: recorded, struck by faults, answered."""

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from app.sandbox.accounts import Account, Grant
from app.sandbox.answers import Answer, failure
from app.sandbox.dated import tell_date
from app.sandbox.faults import AnswerFault, Error
from app.sandbox.quotas import limit_of
from app.sandbox.recording import Call, Record, without_secrets
from app.sandbox.request import ApiRequest, read_request
from app.sandbox.script import Drawn, Seen
from app.sandbox.spoil import spoil
from app.sandbox.state import Sandbox
from app.sandbox.wire import Wire

Handler = Callable[[Sandbox, ApiRequest], Answer]
"""Handlers never wait: each call is carried out in one piece, whatever the load."""

BearerHandler = Callable[[Sandbox, Account, ApiRequest], Answer]


class Gate:
    """Serve one of TikTok's endpoints as an ASGI application."""

    def __init__(self, sandbox: Sandbox, call: Call, handler: Handler) -> None:
        self._sandbox = sandbox
        self._call = call
        self._handler = handler
        self.__doc__ = handler.__doc__  # the simulator's page shows it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the call, let its faults strike, carry it out and answer."""
        try:
            request = await read_request(
                Request(scope, receive), self._call, self._sandbox
            )
        except ClientDisconnect:
            return  # half a request is none
        body = without_secrets(request.body or request.query)
        record = note(self._sandbox, request.seen, request.drawn, body)
        tell_date(scope, request.drawn.date)
        await prepare(self._sandbox, request.seen, request.drawn)
        await self._respond(request, record, Wire(scope, receive, send))

    async def _respond(self, request: ApiRequest, record: Record, wire: Wire) -> None:
        fault = self._answer_fault(request)
        truth = None
        if fault is None or fault.taken:
            truth = self._handler(self._sandbox, request)
            record.done(truth)
        if fault is not None:
            await spoil(fault, truth=truth, record=record, wire=wire)
        elif truth is not None:
            record.said(truth)
            await wire.answer(truth)

    def _answer_fault(self, request: ApiRequest) -> AnswerFault | None:
        fault = request.drawn.answer
        # A refused consent travels in the redirect: the page itself says it.
        if self._call is Call.AUTHORIZE and isinstance(fault, Error):
            return None
        return fault


def note(
    sandbox: Sandbox, seen: Seen, drawn: Drawn, body: Mapping[str, object]
) -> Record:
    """Begin the record of a call."""
    record = Record(
        at=sandbox.now(),
        call=seen.call,
        open_id=seen.open_id,
        publish_id=seen.publish_id,
        title=seen.title,
        body=body,
        fault=drawn.names,
    )
    sandbox.calls.add(record)
    return record


async def prepare(sandbox: Sandbox, seen: Seen, drawn: Drawn) -> None:
    """Let pass what comes before a call is carried out: time, and a token's death."""
    wait = sandbox.settings.latency_seconds + (drawn.slow.seconds if drawn.slow else 0)
    if wait:
        await asyncio.sleep(wait)
    if drawn.token_death and seen.open_id:
        sandbox.accounts.kill_access_token(seen.open_id, now=sandbox.now())


def bearer(handler: BearerHandler, *scopes: str) -> Handler:
    """Let in who has a living token, one of the scopes, and quota left.

    https://developers.tiktok.com/doc/tiktok-api-v2-rate-limit
    """

    def guarded(sandbox: Sandbox, request: ApiRequest) -> Answer:
        now = sandbox.now()
        grant = sandbox.accounts.bearer(request.token or "", now=now)
        if grant is None:
            return failure("access_token_invalid")
        if not set(scopes) & set(grant.scopes):
            return failure("scope_not_authorized")
        if not _admit(sandbox, request.call, grant, now=now):
            return failure("rate_limit_exceeded")
        return handler(sandbox, sandbox.accounts.people[grant.open_id], request)

    guarded.__doc__ = handler.__doc__
    return guarded


def _admit(sandbox: Sandbox, call: Call, grant: Grant, *, now: float) -> bool:
    return sandbox.quotas.admit(
        grant.open_id,
        call,
        limit=limit_of(call, sandbox.settings.quotas),
        window=sandbox.settings.quota_window_seconds,
        now=now,
    )
