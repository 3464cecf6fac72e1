"""Where a person's browser may be sent back to."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from app.domain.redirect import problem_with_redirect, with_query

ORIGINS = ("https://app.example.com", "http://localhost:3000")


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com",
        "https://app.example.com/done?x=1#top",
        "https://APP.example.com:443/done",
        "http://localhost:3000/done",
    ],
)
def test_a_page_of_our_own_is_taken(url: str) -> None:
    """The port that goes without saying is the same origin."""
    assert problem_with_redirect(url, origins=ORIGINS) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "https://app.example.com.evil.example/",
        "https://sub.app.example.com/",
        "http://app.example.com/",
        "https://app.example.com:8443/",
        "http://localhost:3001/",
        "https://app.example.com@evil.example/",
        "https://user@app.example.com/",
        "https://app.example.com\\@evil.example/",
        "https://app.example.com\t/",
        "https://app.example.com/ä",
        "//app.example.com/",
        "/done",
        "javascript:alert(1)",
        "",
        "https://app.example.com:x/",
        "https://app.example.com/" + "a" * 2048,
    ],
)
def test_any_other_place_is_refused(url: str) -> None:
    """Nobody borrows our name to send a person elsewhere."""
    assert problem_with_redirect(url, origins=ORIGINS) is not None


@pytest.mark.parametrize("origins", [(), ("*",), ("https://*.example.com",)])
def test_a_wildcard_stands_for_no_place(origins: tuple[str, ...]) -> None:
    """Only exact origins are let in."""
    assert (
        problem_with_redirect("https://app.example.com/", origins=origins) is not None
    )


def test_a_result_is_added_to_the_query() -> None:
    """What the page had stays, and what is added is quoted."""
    url = with_query("https://app.example.com/done?x=1#top", status="a&b", code="ä")
    parts = urlsplit(url)
    assert parse_qsl(parts.query) == [("x", "1"), ("status", "a&b"), ("code", "ä")]
    assert (parts.path, parts.fragment) == ("/done", "top")
    assert with_query("https://app.example.com", status="ok").endswith("com?status=ok")
