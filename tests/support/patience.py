"""How long tests wait for what something else does."""

from typing import Final

PATIENCE_SECONDS: Final = 300.0
"""Minutes: a busy machine is slow and not wrong. Less than pytest's own time-out."""
