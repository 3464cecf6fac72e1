"""Connect an account: send a person to TikTok's consent page and back.

https://developers.tiktok.com/doc/login-kit-web
"""

import re
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from app.domain import errors
from app.domain.accounts.account import Account, Grant, NewAccount
from app.domain.api_key import check_scope
from app.domain.codes import ASK_OPERATOR, CODES, SETUP, class_of_oauth_code
from app.domain.guarded import Guarded, Hidden
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault
from app.domain.redirect import problem_with_redirect
from app.machine.clock import Clock
from app.service.accounts.accounts import BASIC_SCOPE, PutAccount
from app.store.accounts.account_store import AccountStore
from app.store.accounts.oauth_states import OAuthStateStore, PendingConnect
from app.tiktok.client import TikTok
from app.tiktok.encode import authorize_url, code_challenge
from app.tiktok.fields import names
from app.tiktok.values import TokenGrant, UserInfo

STATE_LIVES: Final = timedelta(minutes=10)
_STATE_BYTES: Final = 32
_VERIFIER_BYTES: Final = 48  # 64 characters; TikTok takes 43 to 128
_MAX_STATE_LENGTH: Final = 200
_WORD: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)

_log = structlog.get_logger(__name__)


class OAuthApp(Struct, frozen=True, kw_only=True):
    """This app as registered with TikTok, and its frontends' origins."""

    authorize_url: str
    client_key: str | None
    client_secret_is_set: bool
    redirect_uri: str | None
    scopes: tuple[str, ...]
    pkce: bool  # documented for desktop and mobile, required of some web apps
    frontend_origins: tuple[str, ...]


class Authorization(Guarded, frozen=True, kw_only=True):
    """The address to send the person to, and how long it is valid."""

    authorize_url: str
    state: Hidden[str]
    expires_at: datetime
    start_url: str | None = None  # for a bound sign-in: the browser begins here


class Connected(Struct, frozen=True, kw_only=True):
    """The sign-in ended with an account."""

    account: Account
    changed: bool  # another person was connected before
    missing_scopes: tuple[str, ...]  # requested but not granted: people may untick them
    redirect_to: str | None


class NotConnected(Struct, frozen=True, kw_only=True):
    """The sign-in ended without an account."""

    error: errors.SchedulerError
    code: str  # one word for the frontend: TikTok's own if there is one
    redirect_to: str | None


class ConnectService(Struct, frozen=True, kw_only=True):
    """Sends people to TikTok and stores the accounts they come back with."""

    app: OAuthApp
    accounts: AccountStore
    states: OAuthStateStore
    tiktok: TikTok
    clock: Clock

    async def begin(
        self,
        project_id: str,
        platform: str,
        *,
        scope: str | None,
        redirect_to: str | None = None,
        disable_auto_auth: bool = False,
        bind: bool = False,
    ) -> Authorization:
        """Return the address of TikTok's consent page, valid for ten minutes.

        With ``bind`` only the browser that opened ``start_url`` can finish. Raises
        NotFound, OAuthNotConfigured, or InvalidInput for a ``redirect_to`` outside our
        frontends.
        """
        check_scope(project_id, scope)
        _, redirect_uri = self._configured()
        self._check_way_back(redirect_to)
        now = self.clock.now()
        state = token_urlsafe(_STATE_BYTES)
        pending = PendingConnect(
            project_id=project_id,
            platform=platform,
            redirect_to=redirect_to,
            code_verifier=token_urlsafe(_VERIFIER_BYTES) if self.app.pkce else None,
            expires_at=now + STATE_LIVES,
            bound=bind,
            disable_auto_auth=disable_auto_auth,
        )
        await self.states.add(state, pending, now=now)
        return Authorization(
            authorize_url=self._consent_page(state, pending),
            state=state,
            expires_at=pending.expires_at,
            start_url=_start_url(redirect_uri, state) if bind else None,
        )

    async def start(self, state: str | None) -> str:
        """Return the consent page of a bound sign-in, for the current browser.

        Raises InvalidState and OAuthNotConfigured.
        """
        self._configured()
        if not state or len(state) > _MAX_STATE_LENGTH:
            raise errors.InvalidState
        pending = await self.states.find(state)
        if pending is None or not pending.bound:
            raise errors.InvalidState
        if pending.expires_at <= self.clock.now():
            raise errors.InvalidState
        return self._consent_page(state, pending)

    def _consent_page(self, state: str, pending: PendingConnect) -> str:
        client_key, redirect_uri = self._configured()
        verifier = pending.code_verifier
        return authorize_url(
            self.app.authorize_url,
            client_key=client_key,
            redirect_uri=redirect_uri,
            scopes=self.app.scopes,
            state=state,
            code_challenge=code_challenge(verifier) if verifier else None,
            disable_auto_auth=pending.disable_auto_auth,
        )

    async def finish(
        self,
        *,
        state: str | None,
        code: str | None,
        error: str | None,
        started: bool,
        scopes: str | None = None,
    ) -> Connected | NotConnected:
        """Finish a sign-in with the parameters of the callback; a state works once.

        ``scopes`` are those that TikTok named in the callback.

        ``started`` tells whether this browser opened the start URL of this state.
        Raises InvalidState for an unknown state, NotYourBrowser, and
        OAuthNotConfigured.
        """
        _, redirect_uri = self._configured()
        if not state or len(state) > _MAX_STATE_LENGTH:
            raise errors.InvalidState
        pending = await self.states.take(state)
        if pending is None:
            raise errors.InvalidState
        if pending.bound and not started:
            raise errors.NotYourBrowser
        if pending.expires_at <= self.clock.now():
            return _failed(pending, errors.InvalidState(), errors.InvalidState.code)
        if error or not code:
            return _failed(pending, _refused(error), _word(error))
        return await self._exchange(pending, code, redirect_uri, scopes or "")

    async def _exchange(
        self, pending: PendingConnect, code: str, redirect_uri: str, scopes: str
    ) -> Connected | NotConnected:
        async with self.tiktok.connect() as calls:
            grant = await calls.exchange_code(
                code, redirect_uri=redirect_uri, code_verifier=pending.code_verifier
            )
            if isinstance(grant, Fault):
                _log.warning(
                    "connect failed", project_id=pending.project_id, code=grant.code
                )
                return _failed(pending, _error(grant), grant.code)
            if not grant.scopes:
                grant = replace(grant, scopes=names(scopes))
            person = None
            if BASIC_SCOPE in grant.scopes:
                person = await calls.user_info(grant.access_token, scopes=grant.scopes)
        put = await self._store(pending, grant, person)
        missing = tuple(each for each in self.app.scopes if each not in grant.scopes)
        return Connected(
            account=put.account,
            changed=put.changed,
            missing_scopes=missing,
            redirect_to=pending.redirect_to,
        )

    async def _store(
        self,
        pending: PendingConnect,
        grant: TokenGrant,
        person: UserInfo | Fault | None,
    ) -> PutAccount:
        now = self.clock.now()
        known = person if isinstance(person, UserInfo) else None
        new = NewAccount(
            project_id=pending.project_id,
            platform=pending.platform,
            open_id=grant.open_id,
            display_name=known.display_name or None if known else None,
            username=known.username if known else None,
            grant=Grant.issued(grant, at=now),
            is_verified=True,
        )
        return PutAccount.of(*await self.accounts.put(new, now=now))

    def _configured(self) -> tuple[str, str]:
        """Return client key and redirect URI; raises OAuthNotConfigured."""
        app = self.app
        needed = {
            "TIKTOK_CLIENT_KEY": app.client_key,
            "TIKTOK_CLIENT_SECRET": app.client_secret_is_set,
            "TIKTOK_REDIRECT_URI": app.redirect_uri,
        }
        if missing := ", ".join(name for name, value in needed.items() if not value):
            raise errors.OAuthNotConfigured(f"connecting an account needs {missing}")
        return app.client_key or "", app.redirect_uri or ""

    def _check_way_back(self, redirect_to: str | None) -> None:
        if redirect_to is None:
            return
        origins = self.app.frontend_origins
        if problem := problem_with_redirect(redirect_to, origins=origins):
            raise errors.InvalidInput(errors.FieldError("/redirectTo", problem))


def _start_url(redirect_uri: str, state: str) -> str:
    """Return our start URL, next to the callback's path."""
    return f"{redirect_uri.removesuffix('/callback')}/start?state={state}"


def _failed(
    pending: PendingConnect, error: errors.SchedulerError, code: str
) -> NotConnected:
    return NotConnected(error=error, code=code, redirect_to=pending.redirect_to)


def _refused(error: str | None) -> errors.SchedulerError:
    """Return whether the person was refused, or TikTok failed for the moment."""
    passing = class_of_oauth_code(error, http_status=400) if error else None
    if passing is ErrorClass.TRANSIENT and error in CODES:
        return errors.TikTokUnavailable()
    # A browser can forge the query, so no other word is repeated.
    return _not_connected(error) if error in CODES else errors.AuthorizationFailed()


def _word(error: str | None) -> str:
    # A browser can forge the query, so only a plain word is passed on.
    if not error:
        return "code_missing"
    return error if _WORD.fullmatch(error) else errors.AuthorizationFailed.code


def _error(fault: Fault) -> errors.SchedulerError:
    if fault.error_class in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT}:
        return errors.TikTokUnavailable()
    return _not_connected(fault.code)


def _not_connected(code: str) -> errors.AuthorizationFailed:
    """Say what helps: connecting again does not where our set-up is wrong."""
    known = CODES.get(code)
    if known is not None and known.words is SETUP:
        return errors.AuthorizationFailed(f"{SETUP.what} {ASK_OPERATOR}. ({code})")
    return errors.AuthorizationFailed(f"{errors.AuthorizationFailed.__doc__} ({code})")
