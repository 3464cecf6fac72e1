"""TikTok's OAuth endpoints: tokens for a code or a refresh token, and revoking."""

import hashlib
from hmac import compare_digest

from app.sandbox.accounts import Code, Grant
from app.sandbox.answers import Answer, flat, flat_failure
from app.sandbox.faults import WebhookFault
from app.sandbox.lifecycle import end_all_of
from app.sandbox.request import ApiRequest
from app.sandbox.state import Sandbox
from app.sandbox.webhooks import Event, emit

DEVELOPER_REVOKED = 5
"""Reason of authorization.removed: https://developers.tiktok.com/doc/webhooks-events"""


def token(sandbox: Sandbox, request: ApiRequest) -> Answer:
    """Issue a token pair for a code or a refresh token, each good for one use.

    https://developers.tiktok.com/doc/oauth-user-access-token-management
    """
    problem = _problem_of_client(sandbox, request)
    if problem is not None:
        return problem
    grant_type = request.text("grant_type")
    if grant_type == "authorization_code":
        return _exchange(sandbox, request)
    if grant_type == "refresh_token":
        return _refresh(sandbox, request)
    if grant_type is None:
        return _refuse(sandbox, "invalid_request", "grant_type is required.")
    return _refuse(sandbox, "unsupported_grant_type")


def revoke(sandbox: Sandbox, request: ApiRequest) -> Answer:
    """End the grant of an access token and tell the app by webhook.

    https://developers.tiktok.com/doc/oauth-user-access-token-management
    """
    problem = _problem_of_client(sandbox, request)
    if problem is not None:
        return problem
    token = request.text("token")
    if token is None:
        return _refuse(sandbox, "invalid_request", "token is required.")
    grant = sandbox.accounts.bearer(token, now=sandbox.now())
    if grant is not None:
        end_grant(sandbox, grant.open_id)
        fault = request.drawn.webhook
        tell_of_removal(sandbox, grant.open_id, reason=DEVELOPER_REVOKED, fault=fault)
    return flat({})


def end_grant(sandbox: Sandbox, open_id: str) -> None:
    """End an account's grant and fail its unfinished posts, without a word."""
    sandbox.accounts.revoke(open_id, now=sandbox.now())
    end_all_of(sandbox, open_id)


def tell_of_removal(
    sandbox: Sandbox, open_id: str, *, reason: int, fault: WebhookFault | None = None
) -> None:
    """Tell the app by webhook that its access was removed, and why (0 to 5)."""
    emit(sandbox, Event("authorization.removed", open_id, {"reason": reason}, fault))


def _exchange(sandbox: Sandbox, request: ApiRequest) -> Answer:
    code = sandbox.accounts.codes.pop(request.text("code") or "", None)
    if code is None or code.expires_at <= sandbox.now():
        return _refuse(sandbox, "invalid_grant")
    if request.text("redirect_uri") != code.redirect_uri:
        return _refuse(sandbox, "invalid_grant", "Redirect_uri is not matched.")
    if not _proves(code, request.text("code_verifier")):
        return _refuse(
            sandbox, "invalid_request", "Code verifier or code challenge is invalid."
        )
    grant = sandbox.new_grant(code.open_id, code.scopes)
    sandbox.accounts.issue(grant, now=sandbox.now())
    return _tokens(sandbox, grant)


def _proves(code: Code, verifier: str | None) -> bool:
    # TikTok's challenge is the hexadecimal SHA-256, unlike RFC 7636's base64url.
    # https://developers.tiktok.com/doc/login-kit-desktop
    if code.challenge is None:
        return True
    proof = hashlib.sha256((verifier or "").encode()).hexdigest()
    return compare_digest(proof, code.challenge)


def _refresh(sandbox: Sandbox, request: ApiRequest) -> Answer:
    now, accounts = sandbox.now(), sandbox.accounts
    used = accounts.refreshable(request.text("refresh_token") or "", now=now)
    if used is None:
        return _refuse(sandbox, "invalid_grant")
    current = accounts.current.get(used.open_id)
    if current is not None and current is not used:
        # Within the grace a used token still leads to the pair that replaced it.
        return _tokens(sandbox, current)
    grant = sandbox.new_grant(used.open_id, used.scopes)
    accounts.issue(grant, now=now, grace=sandbox.settings.refresh_grace)
    return _tokens(sandbox, grant)


def _tokens(sandbox: Sandbox, grant: Grant) -> Answer:
    now = sandbox.now()
    return flat(
        {
            "open_id": grant.open_id,
            "scope": ",".join(grant.scopes),
            "access_token": grant.access_token,
            "expires_in": round(grant.access_expires_at - now),
            "refresh_token": grant.refresh_token,
            "refresh_expires_in": round(grant.refresh_expires_at - now),
            "token_type": "Bearer",
        }
    )


def _problem_of_client(sandbox: Sandbox, request: ApiRequest) -> Answer | None:
    settings = sandbox.settings
    if request.body is None or request.text("client_key") is None:
        return _refuse(
            sandbox, "invalid_request", "The request parameters are malformed."
        )
    key, secret = request.text("client_key"), request.text("client_secret")
    if key != settings.client_key or secret != settings.client_secret:
        return _refuse(sandbox, "invalid_client", "Client key or secret is incorrect.")
    return None


def _refuse(sandbox: Sandbox, code: str, message: str | None = None) -> Answer:
    status = sandbox.settings.oauth_error_status
    return flat_failure(code, message, status=status)
