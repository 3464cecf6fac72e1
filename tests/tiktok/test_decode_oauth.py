"""What TikTok's answers on tokens come to: flat, and with errors in HTTP 200."""

from collections.abc import Callable
from functools import partial

import pytest

from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.tiktok import decode
from app.tiktok.values import TokenGrant
from app.tiktok.wire import ApiAnswer
from tests.tiktok.answers import answer, fault, refused

GRANT = {
    "open_id": "-000abc",
    "scope": "user.info.basic, video.publish,",
    "access_token": "act.new",
    "expires_in": 7200,
    "refresh_token": "rft.new",
    "refresh_expires_in": 15552000,
    "token_type": "Bearer",
}
refreshed = partial(decode.refreshed, refresh_token="rft.old")


@pytest.mark.parametrize("read", [refreshed, decode.exchanged])
def test_grant(read: Callable[[ApiAnswer], TokenGrant | Fault]) -> None:
    """A grant comes flat, its scopes as a comma list, its tokens never in a repr."""
    grant = read(answer(GRANT))
    assert grant == TokenGrant(
        open_id="-000abc",
        access_token="act.new",
        refresh_token="rft.new",
        expires_in=7200,
        refresh_expires_in=15552000,
        scopes=("user.info.basic", "video.publish"),
    )
    assert ".new" not in repr(grant)


@pytest.mark.parametrize(
    ("seconds", "expected"), [("86400", 86400), (7200.0, 7200), (10**12, 315360000)]
)
def test_lifetimes(seconds: object, expected: int) -> None:
    """Lifetimes may come as text, and never overflow the clock."""
    grant = decode.exchanged(answer(GRANT | {"expires_in": seconds}))
    assert isinstance(grant, TokenGrant)
    assert grant.expires_in == expected


@pytest.mark.parametrize("value", [None, "", [], False, {}])
def test_half_a_grant(value: object) -> None:
    """A grant that lacks its token never replaces a whole one."""
    assert fault(refreshed(answer(GRANT | {"access_token": value}))).code == (
        "bad_answer"
    )


@pytest.mark.parametrize("value", [None, "", [], -1, {}])
def test_a_pair_without_its_lifetimes_is_kept(value: object) -> None:
    """The former one is dead by now: it lives as long as TikTok says they all do."""
    told = GRANT | {"expires_in": value, "refresh_expires_in": value}
    grant = refreshed(answer(told))
    assert isinstance(grant, TokenGrant)
    assert (grant.expires_in, grant.refresh_expires_in) == (7200, 15_552_000)


def test_a_pair_may_be_nested() -> None:
    """As TikTok nests everything else."""
    assert refreshed(answer({"data": GRANT})) == refreshed(answer(GRANT))
    assert decode.exchanged(answer({"data": GRANT})) == decode.exchanged(answer(GRANT))


def test_what_a_refresh_may_leave_out() -> None:
    """A refresh without a new refresh token keeps the old one; a first grant cannot."""
    bare = {
        name: value
        for name, value in GRANT.items()
        if name not in {"refresh_token", "open_id", "scope"}
    }
    grant = refreshed(answer(bare))
    assert isinstance(grant, TokenGrant)
    assert (grant.open_id, grant.refresh_token) == ("", "rft.old")
    assert grant.scopes == ()
    assert fault(decode.exchanged(answer(bare))).code == "bad_answer"
    no_owner = GRANT | {"open_id": ""}
    assert fault(decode.exchanged(answer(no_owner))).code == "bad_answer"


@pytest.mark.parametrize("read", [refreshed, decode.exchanged, decode.revoked])
@pytest.mark.parametrize("status", [200, 400, 401])
def test_flat_errors(read: Callable[[ApiAnswer], object], status: int) -> None:
    """OAuth refuses in a flat form, at times with HTTP 200."""
    body = {
        "error": "invalid_grant",
        "error_description": "Refresh token is invalid or expired.",
        "log_id": "log-2",
    }
    assert read(answer(body, status=status)) == Fault(
        error_class=ErrorClass.AUTH,
        code="invalid_grant",
        message="Refresh token is invalid or expired.",
        verdict=Verdict.ANSWERED,
        http_status=status,
        log_id="log-2",
    )


@pytest.mark.parametrize("read", [refreshed, decode.exchanged, decode.revoked])
def test_enveloped_oauth_errors(read: Callable[[ApiAnswer], object]) -> None:
    """Limits and outages reach OAuth in the envelope of the other calls."""
    result = fault(read(refused("rate_limit_exceeded", status=429)))
    assert result.error_class is ErrorClass.RATE_LIMIT


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"error": {"code": "ok"}}'])
def test_revoked(body: bytes) -> None:
    """TikTok confirms a revocation with next to nothing."""
    assert decode.revoked(answer(body)) is None


@pytest.mark.parametrize("status", [302, 404, 500])
def test_not_revoked(status: int) -> None:
    """An empty answer with another status confirms nothing."""
    assert fault(decode.revoked(answer(b"", status=status))).code == "gateway_error"
