"""Which token a job gets, and when it gets none."""

from datetime import timedelta

import httpx
import pytest

from app.domain.accounts.account import SCOPE_REASONS, Account, AccountStatus
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.grants.grants import Access, Grants
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.db.vault import Vault
from tests.grants.conftest import StepClock
from tests.grants.token_endpoint import Reply, TokenEndpoint, refused
from tests.support.accounts import NAME, NOW, new_account, new_grant


async def _connected(accounts: AccountStore, **lives: float) -> Account:
    grant = new_grant(lives=timedelta(**lives or {"hours": 2}))
    account, _ = await accounts.put(new_account(grant, username="ann"), now=NOW)
    return account


async def _access(grants: Grants) -> Access:
    access = await grants.current(*NAME)
    assert isinstance(access, Access), access
    return access


async def _fault(grants: Grants) -> Fault:
    fault = await grants.current(*NAME)
    assert isinstance(fault, Fault), fault
    return fault


async def test_a_living_token_is_handed_out_without_a_call(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """Everything a call needs comes from the row."""
    account = await _connected(accounts)
    assert await _access(grants) == Access(
        project_id="proj_1",
        platform="tiktok",
        open_id="open_1",
        quota_owner="open_1 proj_1",
        username="ann",
        token="act.one",
        scopes=("user.info.basic", "video.publish"),
        version=account.grant_version,
        ends_at=account.grant.refresh_token_expires_at,
    )
    assert tiktok.used == []


async def test_no_token_shows_in_a_repr(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """No log line about an access or an account holds a token."""
    account = await _connected(accounts)
    for value in (await _access(grants), account, account.grant):
        assert "act.one" not in repr(value)
        assert "rft.one" not in repr(value)


async def test_without_an_account_nobody_is_asked(
    grants: Grants, tiktok: TokenEndpoint
) -> None:
    """A project that never connected gets an auth fault and costs no call."""
    fault = await _fault(grants)
    assert (fault.error_class, fault.code) == (ErrorClass.AUTH, "account_not_connected")
    assert fault.verdict is Verdict.NOT_SENT
    assert tiktok.used == []


async def test_a_lost_account_is_refused_without_a_call(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """Until the person connects it again there is no use in asking TikTok."""
    account = await _connected(accounts)
    await accounts.mark_reconnect_required(
        *NAME, reason="auth_removed", grant_version=account.grant_version, now=NOW
    )
    fault = await _fault(grants)
    assert (fault.error_class, fault.code) == (ErrorClass.AUTH, "auth_removed")
    assert "auth_removed" in fault.message
    assert tiktok.used == []


async def test_an_unreadable_token_is_a_lost_account(
    grants: Grants, databases: list[Database], tiktok: TokenEndpoint
) -> None:
    """A key that is gone asks for a reconnect; it is no error that repeats for ever."""
    await _connected(AccountStore(databases[0], Vault([b"f" * 32])))
    fault = await _fault(grants)
    assert (fault.error_class, fault.code) == (ErrorClass.AUTH, "reconnect_required")
    assert tiktok.used == []


@pytest.mark.parametrize("reason", sorted(SCOPE_REASONS))
async def test_a_missing_scope_does_not_stop_the_others(
    grants: Grants, accounts: AccountStore, reason: str
) -> None:
    """A token that may not post directly may still send drafts."""
    account = await _connected(accounts)
    await accounts.mark_reconnect_required(
        *NAME, reason=reason, grant_version=account.grant_version, now=NOW
    )
    assert (await _access(grants)).token == "act.one"


async def test_a_token_about_to_end_is_refreshed_first(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """A minute before its end the token is traded, and the new pair is stored."""
    await _connected(accounts)
    clock.at = NOW + timedelta(hours=2, seconds=-61)
    assert (await _access(grants)).token == "act.one"
    clock.at = NOW + timedelta(hours=2, seconds=-60)
    access = await _access(grants)
    stored = await accounts.get(*NAME)
    assert access.token == stored.grant.access_token == "act.new1"
    assert access.version == stored.grant_version
    assert stored.grant.refresh_token == "rft.new1"
    assert stored.grant.access_token_expires_at == clock.at + timedelta(hours=2)
    assert stored.grant.refresh_token_expires_at == clock.at + timedelta(days=180)
    assert tiktok.used == ["rft.one"]


async def test_a_short_life_is_not_given_away(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """Of a token that lives for 20 s three quarters are used, before and after."""
    await _connected(accounts, seconds=20)
    tiktok.expires_in = 20
    for seconds, calls in ((0, 0), (14, 0), (15, 1), (29, 1), (30, 2)):
        clock.at = NOW + timedelta(seconds=seconds)
        await _access(grants)
        assert len(tiktok.used) == calls, seconds


_BLIPS: dict[str, Reply] = {
    "never sent": httpx.ConnectError("refused"),
    "no answer": httpx.ReadTimeout("late"),
    "answer cut off": httpx.RemoteProtocolError("cut"),
    "server error": httpx.Response(500, json={"error": "internal_error"}),
    "gateway": httpx.Response(502, html="<h1>Bad gateway</h1>"),
    "limited": httpx.Response(429, json={"error": "rate_limit_exceeded"}),
    "half a pair": httpx.Response(200, json={"refresh_token": "rft.x"}),
    "empty": httpx.Response(200, json={"access_token": "", "refresh_token": ""}),
}


@pytest.mark.parametrize("blip", _BLIPS)
async def test_a_blip_never_disconnects(
    blip: str,
    grants: Grants,
    accounts: AccountStore,
    tiktok: TokenEndpoint,
    clock: StepClock,
) -> None:
    """The rest of the token is used, then jobs are put off, and the next try heals."""
    account = await _connected(accounts, hours=1)
    clock.at = NOW + timedelta(minutes=59, seconds=30)
    tiktok.replies.extend([_BLIPS[blip]] * 2)
    assert (await _access(grants)).token == "act.one"
    clock.at = NOW + timedelta(minutes=61)
    fault = await _fault(grants)
    assert fault.error_class in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT}
    assert await accounts.get(*NAME) == account
    assert (await _access(grants)).token == "act.new3"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_client", ErrorClass.PERMANENT),
        ("unauthorized_client", ErrorClass.PERMANENT),
        ("invalid_request", ErrorClass.PERMANENT),
        ("temporarily_unavailable", ErrorClass.TRANSIENT),
        ("brand_new", ErrorClass.TRANSIENT),
    ],
)
async def test_our_own_mistake_never_disconnects(
    code: str,
    kind: ErrorClass,
    grants: Grants,
    accounts: AccountStore,
    tiktok: TokenEndpoint,
    clock: StepClock,
) -> None:
    """A wrong client secret is the operator's to mend; every account stays."""
    account = await _connected(accounts, hours=1)
    clock.at = NOW + timedelta(hours=1)
    tiktok.replies.append(refused(code))
    fault = await _fault(grants)
    assert (fault.error_class, fault.code) == (kind, code)
    assert await accounts.get(*NAME) == account


async def test_an_app_without_credentials_disconnects_nobody(
    accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """Tokens that were put by hand work until they end; then the setting is named."""
    client = tiktok.client(client_key=None)
    grants = Grants(accounts=accounts, tiktok=client, clock=clock)
    account = await _connected(accounts, hours=1)
    clock.at = NOW + timedelta(minutes=59, seconds=30)
    assert (await _access(grants)).token == "act.one"
    clock.at = NOW + timedelta(hours=1)
    assert "TIKTOK_CLIENT_KEY" in (await _fault(grants)).message
    assert await accounts.get(*NAME) == account


@pytest.mark.parametrize("status", [200, 400])
async def test_a_dead_grant_asks_for_a_new_consent(
    status: int,
    grants: Grants,
    accounts: AccountStore,
    tiktok: TokenEndpoint,
    clock: StepClock,
) -> None:
    """invalid_grant, with either HTTP status, is the one answer that disconnects."""
    await _connected(accounts)
    clock.at = NOW + timedelta(hours=3)
    tiktok.replies.append(refused("invalid_grant", status))
    fault = await _fault(grants)
    assert (fault.error_class, fault.code) == (ErrorClass.AUTH, "invalid_grant")
    stored = await accounts.get(*NAME)
    assert stored.status is AccountStatus.RECONNECT_REQUIRED
    assert stored.reconnect_reason == "invalid_grant"
    assert (await _fault(grants)).code == "reconnect_required"
    assert tiktok.used == ["rft.one"]


async def test_what_came_empty_stays_as_it_was(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """No refresh token, no scope and no open_id in the answer: the known ones stay."""
    await _connected(accounts)
    clock.at = NOW + timedelta(hours=3)
    pair = tiktok.pair("2", refresh_token="", scope="", open_id="")
    tiktok.replies.append(httpx.Response(200, json=pair))
    access = await _access(grants)
    assert (access.token, access.open_id) == ("act.new2", "open_1")
    assert access.scopes == ("user.info.basic", "video.publish")
    assert (await accounts.get(*NAME)).grant.refresh_token == "rft.one"
