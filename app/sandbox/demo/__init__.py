"""The demo: the real service and the simulator, and a handful of posts' lives."""

from app.sandbox.demo.run import run_demo

__all__ = ["run_demo"]
