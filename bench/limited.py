"""Run the service with few file descriptors, and a resolver that hangs for some names.

python -m bench.limited DESCRIPTORS serve --port 8000
"""

import resource
import socket
import sys
import time
from typing import Any, Final

from app.cli import main

DEAD: Final = ".dead.example"
"""How names end that take the resolver's whole patience."""

PATIENCE_SECONDS: Final = 20.0

_look_up = socket.getaddrinfo


def _slow(host: Any, *more: Any, **others: Any) -> Any:  # noqa: ANN401  any function is wrapped
    if str(host).endswith(DEAD):
        time.sleep(PATIENCE_SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")
    return _look_up(host, *more, **others)


if __name__ == "__main__":
    number = int(sys.argv.pop(1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    socket.getaddrinfo = _slow
    main()
