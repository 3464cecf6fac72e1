"""What `pip install` brings."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.repository import ROOT


def test_an_installed_wheel_can_migrate(tmp_path: Path) -> None:
    """Every migration of the checkout lies where app.store.db.migrate looks for it."""
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path),
    ]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    scripts = (ROOT / "migrations").rglob("*.py")
    wanted = {
        f"app/_migrations/{path.relative_to(ROOT / 'migrations')}" for path in scripts
    }
    assert "app/_migrations/env.py" in wanted
    assert wanted <= packed
    assert not any(name.startswith(("tests/", "bench/")) for name in packed)
