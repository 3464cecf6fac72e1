"""Which URLs may be handed to TikTok: public names over https, in any disguise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.posts.asset_url import MAX_URL_LENGTH, problem_with_url

PUBLIC = [
    "https://cdn.example.com/v.mp4",
    "https://cdn.example.com",
    "https://cdn.example.com:8443/v.mp4?signature=a%20b&x=[1]#t=3",
    "https://cdn.example.com./v.mp4",
    "HTTPS://CDN.EXAMPLE.COM/V.MP4",
    "https://my_bucket.s3.eu-west-1.amazonaws.com/v.mp4",
    "https://bücher.example.com/ä.mp4",
    "https://xn--bcher-kva.example.com/v.mp4",
    "https://example.xn--p1ai/v.mp4",
    "https://xn--strae-oqa.example/v.mp4",  # straße, as browsers write it
    "https://xn--4gq48lf9j.example/v.mp4",
    "https://localhost.example.com/",
    "https://10.0.0.1.nip.example/",
    "https://cdn.example.com/" + "a" * (MAX_URL_LENGTH - 24),
]

ADDRESSES = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.0x1/",
    "https://10.0.0.1./",
    "https://169.254.169.254/latest/meta-data/",
    "https://8.8.8.8/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2001:db8::1]/",
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
]

LOCAL = [
    "https://localhost/",
    "https://LocalHost./",
    "https://ⓛocalhost/",
    "https://a.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://router.home.arpa/",
    "https://home.arpa/",
    "https://intranet/",
    "https://com/",
]

BROKEN = [
    "",
    "cdn.example.com/v.mp4",
    "//cdn.example.com/v.mp4",
    "https:cdn.example.com",
    "https:/cdn.example.com",
    "https://",
    "https:///v.mp4",
    "https://:443/",
    "https://cdn.example.com:0/",
    "https://cdn.example.com:65536/",
    "https://cdn.example.com:-1/",
    "https://cdn.example.com:https/",
    "https://[::1/",
    "https://[nonsense]/",
    "https://a..example.com/",
    "https://.example.com/",
    "https://-a.example.com/",
    "https://a-.example.com/",
    "https://" + "a" * 64 + ".example.com/",
    "https://" + "a." * 127 + "com/",
    "https://exa%6dple.com/",
    "https://exa$mple.com/",
    "https://xn--zzzzzz99999.com/",
    "https://xn--.com/",
    "https://ex\u200bample.com/",
    "https://cdn.example.com/a b",
    "https://cdn.example.com/a\tb",
    "https://cdn.example.com/a\nb",
    "https://cdn.example.com/a\0b",
    "https://cdn.example.com/\ud800",
    "https://cdn.example.com\\@10.0.0.1/",
    " https://cdn.example.com/",
    "https://cdn.example.com/\u2028",
    "https://cdn.example.com/" + "a" * (MAX_URL_LENGTH - 23),
]

SCHEMES = [
    "http://cdn.example.com/",
    "ftp://cdn.example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:video/mp4;base64,AAAA",
    "https+x://cdn.example.com/",
]

CREDENTIALS = [
    "https://user:secret@cdn.example.com/",
    "https://user@cdn.example.com/",
    "https://@cdn.example.com/",
    "https://:@cdn.example.com/",
    "https://cdn.example.com@10.0.0.1/",
]


@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_https_url_is_taken(url: str) -> None:
    """Names that anybody can resolve, over https."""
    assert problem_with_url(url) is None


@pytest.mark.parametrize("url", ADDRESSES + LOCAL + BROKEN + SCHEMES + CREDENTIALS)
def test_any_other_url_is_refused_without_being_repeated(url: str) -> None:
    """Addresses in every spelling, local names, broken URLs, other schemes, logins."""
    problem = problem_with_url(url)
    assert problem
    assert not url or url not in problem
    assert "secret" not in problem


@pytest.mark.parametrize("port", ["0", "99999", "-1", "abc"])
@pytest.mark.parametrize("private", [True, False])
def test_an_impossible_port_is_named(port: str, private: bool) -> None:
    """Nobody could ever connect to it: the words say what is wrong."""
    url = f"https://cdn.example.com:{port}/v.mp4"
    problem = problem_with_url(url, allow_private=private)
    assert problem == "must have a port from 1 to 65535, or none"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/v.mp4",
        "http://localhost/v.mp4",
        "https://[::1]:8443/v.mp4",
        "http://assets:8000/v.mp4",
        "http://10.0.0.1/",
    ],
)
def test_private_urls_pass_where_they_are_allowed(url: str) -> None:
    """Tests and the demo serve their videos from loopback."""
    assert problem_with_url(url, allow_private=True) is None


@pytest.mark.parametrize(
    "url",
    [
        *CREDENTIALS,
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:0/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/" + "a" * MAX_URL_LENGTH,
    ],
)
def test_private_is_not_anything_goes(url: str) -> None:
    """Logins, other schemes and nonsense stay out all the same."""
    assert problem_with_url(url, allow_private=True)


@given(st.text(max_size=60) | st.text(max_size=40).map("https://{}/".format))
def test_no_text_breaks_the_check(url: str) -> None:
    """Whatever comes in, it is taken or refused, and no exception gets out."""
    for allow_private in (False, True):
        problem = problem_with_url(url, allow_private=allow_private)
        assert problem is None or problem
