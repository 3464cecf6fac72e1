"""A program that was told to stop ends, whatever hangs."""

import subprocess
import sys
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from tests.support.patience import PATIENCE_SECONDS
from tests.support.repository import ROOT

PROGRAM = """
import asyncio, os, signal, sys, threading, time
from app import stopping
from app.stopping import LastExit, stopped_by_signal

stopping.STOP_SECONDS = 0.2
stopping.KEEPING_SECONDS = {keeping}

async def main():
    last_exit = LastExit(call_seconds={call_seconds})
    calling = []
    last_exit.spare(lambda: bool(calling))
    stop = stopped_by_signal(last_exit)
    os.kill(os.getpid(), {signal})
    await stop.wait()
    {hang}

asyncio.run(main())
"""
BLOCKED = "time.sleep(600)"
WAITING = "await asyncio.Event().wait()"
THREAD = "threading.Thread(target=time.sleep, args=(600,)).start()"
CALL = """
    calling.append(1)
    await asyncio.sleep(1)
    print("answered", flush=True)
    calling.clear()
    time.sleep(1)  # the database is slow
    print("written", flush=True)
"""


def end(hang: str, *, keeping: float = 0, **change: float) -> str:
    """Run a program that hangs after a signal; return what it printed by its end."""
    told = {"call_seconds": 0, "signal": 15, "keeping": keeping, **change}
    code = PROGRAM.format(hang=hang, **told)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,  # it would hang for ten minutes
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("hang", [BLOCKED, WAITING, THREAD])
def test_nothing_that_hangs_holds_a_stop(hang: str) -> None:
    """Neither the loop itself, nor a task, nor a thread."""
    assert "part of the program hangs" in end(hang)


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT, SIGHUP])
def test_every_signal_that_ends_programs_is_heard(signal: int) -> None:
    """A terminal that closes and a service manager mean the same."""
    assert "part of the program hangs" in end(WAITING, signal=signal)


def test_a_call_that_is_out_gets_its_time() -> None:
    """Its answer tells whether there is a post; then it is over."""
    assert "answered" in end(CALL, call_seconds=40)


def test_an_answer_that_came_late_is_written() -> None:
    """Else nobody would ever know TikTok's id of the post."""
    assert "written" in end(CALL, call_seconds=40, keeping=40)


def test_a_call_gets_no_more_than_its_time() -> None:
    """However long TikTok would take."""
    assert "answered" not in end(CALL, call_seconds=0.2)
