"""What the client's tests share."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.support.certificates import Certificate, make_certificate

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories() -> Mapping[str, LoopFactory]:
    """Run on both loops: a connection is built on what they have in common.

    The commands take uvloop where there is one; Windows has asyncio's alone.
    """
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Give a certificate for loopback that only its own file vouches for."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
