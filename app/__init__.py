"""Post videos to TikTok at the time their owner chose, once, and say what became."""

import sys

__version__ = "0.1.0"

if "structlog" not in sys.modules and "rich" not in sys.modules:
    # structlog imports rich wherever it is installed, to draw tracebacks that we do
    # not draw: a fourteenth of what a start takes.
    sys.modules["rich"] = None  # type: ignore[assignment]  # importlib allows it
    import structlog  # noqa: F401  so that all find it

    del sys.modules["rich"]
