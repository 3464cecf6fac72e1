"""Empty virtual environments, with the pip that a test wants in them."""

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.repository import ROOT

OLDEST_PIP: Final = {(3, 11): "22.3"}
"""What the first release of a Python brought, where later ones bring a later pip."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in a folder of its own."""

    directory: Path

    @property
    def script(self) -> Path:
        """Name the console script that the wheel brings."""
        return self.directory / "bin" / "tiktok-scheduler"

    def python(self, *arguments: str | Path) -> str:
        """Run its Python outside any checkout; return what it prints."""
        program = self.directory / "bin" / "python"
        ended = subprocess.run(
            [program, "-I", *arguments],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def pip(self, *arguments: str | Path) -> str:
        """Run its pip."""
        return self.python("-m", "pip", "--disable-pip-version-check", *arguments)

    def install(self, *files: str) -> None:
        """Install from files in requirements/, each name with its hash."""
        wanted = [f"--requirement={ROOT / 'requirements' / file}" for file in files]
        self.pip("install", "--quiet", "--require-hashes", *wanted)


def new_environment(directory: Path, *, pip: str) -> Environment:
    """Make one with the ``oldest`` pip that is supported, or the ``newest``."""
    venv.create(directory, with_pip=True, symlinks=True)
    environment = Environment(directory)
    if pip == "newest":
        environment.pip("install", "--quiet", "--upgrade", "pip")
    elif oldest := OLDEST_PIP.get(sys.version_info[:2]):
        environment.pip("install", "--quiet", f"pip=={oldest}")
    return environment
