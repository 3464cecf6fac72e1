"""Make the address of TikTok's consent page. Pure."""

from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import urlencode


def authorize_url(
    base: str,
    *,
    client_key: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    code_challenge: str | None = None,
    disable_auto_auth: bool = False,
) -> str:
    """Return the address of the consent page.

    https://developers.tiktok.com/doc/login-kit-web
    """
    query = {
        "client_key": client_key,
        "response_type": "code",
        "scope": ",".join(scopes),
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if code_challenge is not None:
        query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    if disable_auto_auth:
        # Without it a logged-in person cannot switch to another account.
        query["disable_auto_auth"] = "1"
    return f"{base}{'&' if '?' in base else '?'}{urlencode(query)}"


def code_challenge(verifier: str) -> str:
    """Return the PKCE challenge in TikTok's form: hex, where RFC 7636 has base64url.

    https://developers.tiktok.com/doc/login-kit-desktop
    """
    return sha256(verifier.encode()).hexdigest()
