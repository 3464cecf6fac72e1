"""The repository as the house's own tests see it."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What git ignores, tools leave behind, or git keeps for itself.
_SKIPPED = {"build", "dist", "htmlcov", "node_modules", "results", "__pycache__"}
_KEPT = {".ci", ".github"}


def source_files(folder: Path = ROOT, *, suffix: str = "") -> Iterator[Path]:
    """Walk the files that belong to the project."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.endswith(suffix) and _is_ours(path):
            yield path
        elif path.is_dir() and _is_ours(path):
            yield from source_files(path, suffix=suffix)


def _is_ours(path: Path) -> bool:
    if path.is_dir():
        hidden = path.name.startswith(".") and path.name not in _KEPT
        return not hidden and path.name not in _SKIPPED
    return path.name != ".env" and path.suffix not in {".db", ".key", ".pyc"}
