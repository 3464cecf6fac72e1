"""What the client's tests share."""

import pytest

from tests.tiktok.certificates import Certificate, make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Give a certificate for loopback that only its own file vouches for."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
