"""TLS to Postgres, configured as for libpq.

https://www.postgresql.org/docs/current/libpq-ssl.html
"""

import ssl
from pathlib import Path
from typing import Final

Tls = ssl.SSLContext | str
"""The driver's setting: a context, or a mode in which TLS is optional."""

SYSTEM: Final = "system"
"""The value of sslrootcert that means the system's certificates."""

_LAX: Final = frozenset({"disable", "allow", "prefer"})
_MODES: Final = (*sorted(_LAX), "require", "verify-ca", "verify-full")


def make_tls(
    mode: str | None, rootcert: str | None, cert: str | None, key: str | None
) -> Tls:
    """Make the driver's setting of sslmode, sslrootcert, sslcert and sslkey.

    Raises ValueError that names the parameter, and quotes no path.
    """
    if mode is None:
        mode = "verify-full" if rootcert == SYSTEM else "prefer"
    if mode not in _MODES:
        raise ValueError(f"sslmode can only be {', '.join(_MODES)}")
    if mode in _LAX:
        for name, value in (("sslrootcert", rootcert), ("sslcert", cert)):
            if value is not None:
                raise ValueError(f"{name} needs sslmode=require or stricter")
        return mode
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == "verify-full"
    _trust(context, mode, rootcert)
    _identify(context, cert, key)
    return context


def _trust(context: ssl.SSLContext, mode: str, rootcert: str | None) -> None:
    if rootcert is None and mode == "require":
        context.verify_mode = ssl.CERT_NONE
        return
    file = Path(rootcert) if rootcert not in {None, SYSTEM} else _usual_root()
    if rootcert == SYSTEM or file is None:
        # Anybody can get a certificate from a public authority: check the host name.
        if mode != "verify-full":
            raise ValueError(f"sslmode={mode} needs sslrootcert, a file")
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise ValueError("sslrootcert holds no certificate") from None
    except OSError as error:
        raise ValueError(f"sslrootcert cannot be read: {error.strerror}") from None


def _usual_root() -> Path | None:
    """Return libpq's default root file; a container may have no home directory."""
    try:
        file = Path.home() / ".postgresql" / "root.crt"
        return file if file.is_file() else None
    except (OSError, RuntimeError):
        return None


def _identify(context: ssl.SSLContext, cert: str | None, key: str | None) -> None:
    if cert is None:
        if key is not None:
            raise ValueError("sslkey is of no use without sslcert")
        return
    try:
        # For a key with a passphrase the driver would ask on the terminal.
        context.load_cert_chain(cert, key, password=_no_passphrase)
    except ssl.SSLError:
        raise ValueError("sslcert and sslkey do not fit, or are none") from None
    except OSError as error:
        raise ValueError(
            f"sslcert or sslkey cannot be read: {error.strerror}"
        ) from None


def _no_passphrase() -> str:
    raise ValueError("sslkey has a passphrase, which cannot be given here")
