"""Which hosts a video may be uploaded to."""

import pytest

from app.domain.posts.upload import (
    TIKTOK_UPLOAD_HOSTS,
    problem_with_host_rule,
    problem_with_upload_url,
)

TOKEN = "upload_id=1&upload_token=Secret123"


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        (f"https://open-upload.tiktokapis.com/video/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://upload.us.tiktokapis.com/video/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://UPLOAD.us.tiktokapis.com:8443/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://127.0.0.1:9000/video/?{TOKEN}", ("127.0.0.1",)),
        (f"https://127.0.0.1:9000/video/?{TOKEN}", ("other", "127.0.0.1:9000")),
        (f"https://up.example/video/?{TOKEN}", ("up.example:443",)),
        (f"https://[::1]:9000/?{TOKEN}", ("[::1]:9000",)),
    ],
)
def test_a_named_host_is_sent_to(url: str, rules: tuple[str, ...]) -> None:
    """A bare host means any port, ``host:port`` that one alone."""
    assert problem_with_upload_url(url, rules) is None


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        (f"https://tiktokapis.com.evil.example/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://eviltiktokapis.com/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://evil@upload.tiktokapis.com/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://evil.example\\.tiktokapis.com/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"http://upload.tiktokapis.com/?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://127.0.0.1:9001/?{TOKEN}", ("127.0.0.1:9000",)),
        (f"https://127.0.0.1:99999/?{TOKEN}", ("127.0.0.1",)),
        (f"file:///etc/passwd?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://upload.tiktokapis.com/\n?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https:///?{TOKEN}", TIKTOK_UPLOAD_HOSTS),
        (f"https://upload.tiktokapis.com/?{TOKEN}", ()),
    ],
)
def test_no_other_host_ever_gets_a_byte(url: str, rules: tuple[str, ...]) -> None:
    """No other host gets a byte; the reason quotes no token."""
    problem = problem_with_upload_url(url, rules)
    assert problem is not None
    assert "Secret123" not in problem


def test_plain_http_is_for_tests() -> None:
    """The simulator has no certificate."""
    url = f"http://127.0.0.1:9000/?{TOKEN}"
    assert problem_with_upload_url(url, ("127.0.0.1",)) is not None
    assert problem_with_upload_url(url, ("127.0.0.1",), allow_http=True) is None


@pytest.mark.parametrize(
    "rule",
    ["", "https://up.example", "up.example/x", "a@b", "h:0", "h:x", "*", "*.*.c"],
)
def test_a_rule_that_cannot_fit_is_refused(rule: str) -> None:
    """A rule that can fit no host stops the start: every upload would fail."""
    assert problem_with_host_rule(rule) is not None


@pytest.mark.parametrize("rule", ["up.example", "up.example:443", "*.tiktokapis.com"])
def test_a_rule_of_the_known_forms_is_taken(rule: str) -> None:
    """Host, host and port, and all hosts of a domain."""
    assert problem_with_host_rule(rule) is None
