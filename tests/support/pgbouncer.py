"""PgBouncer in front of a Postgres, where it is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.support.postgres import _free_port

_CONFIG = """
[databases]
* = host=127.0.0.1 port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {sessions}
max_client_conn = {clients}
logfile = {directory}/pgbouncer.log
pidfile = {directory}/pgbouncer.pid
ignore_startup_parameters = extra_float_digits
"""


def find_pgbouncer() -> str | None:
    """Find the program, also where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


class PgBouncer:
    """Run one on a port of its own."""

    def __init__(self, port: int, *, mode: str, clients: int = 100) -> None:
        """Take the server's port, how sessions are shared, and for how many."""
        self._server = port
        self._mode = mode
        self._clients = clients
        self.port = 0

    def __enter__(self) -> Self:
        program = find_pgbouncer()
        assert program is not None
        self.port = _free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="bouncer-", dir="/tmp"))
        config = self._directory / "pgbouncer.ini"
        config.write_text(
            _CONFIG.format(
                port=self._server,
                own=self.port,
                mode=self._mode,
                # Each of ours has a session of its own, or shares few with all.
                sessions=50 if self._mode == "session" else 3,
                clients=self._clients,
                directory=self._directory,
            )
        )
        user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
        if user:
            shutil.chown(self._directory, user)
        self._process = subprocess.Popen(
            [program, "--quiet", config], user=user, stdin=subprocess.DEVNULL
        )
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("pgbouncer did not start")
