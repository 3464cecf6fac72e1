"""TikTok's webhooks: the signature and the body, whatever comes."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.tiktok_event import EventKind
from app.tiktok.signed_events import UNREADABLE, read_event, signed_at

SECRET = "a-client-secret"
BODY = b'{"event":"authorization.removed"}'
PUBLISH_ID = "v_pub_file~v2-1.7602997517160123666"


def signature(body: bytes = BODY, *, at: str = "1633174587") -> str:
    """Sign as TikTok documents it."""
    message = at.encode() + b"." + body
    return hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()


def event(content: object = None, **changes: Any) -> bytes:  # noqa: ANN401
    """Write an event as TikTok does: the content is JSON in a string."""
    inner = {"publish_id": PUBLISH_ID, "publish_type": "DIRECT_PUBLISH"}
    outer = {
        "client_key": "key",
        "event": "post.publish.complete",
        "create_time": 1615338610,
        "user_openid": "-000abc",
        "content": json.dumps(inner if content is None else content),
    }
    return json.dumps(outer | changes).encode()


@pytest.mark.parametrize(
    "header", ["t={t},s={s}", " t = {t} , s = {s} ", "s={s},t={t}", "T={t},S={s},x=1"]
)
def test_a_right_signature_tells_when_it_was_made(header: str) -> None:
    """The order and spaces of its parts are no matter."""
    given = header.format(t="1633174587", s=signature())
    assert signed_at(given, BODY, secret=SECRET) == 1633174587


def test_the_documented_form_is_understood() -> None:
    """The digest is over the seconds, a dot and the raw body; hex in either case."""
    given = f"t=1633174587,s={signature().upper()}"
    assert signed_at(given, BODY, secret=SECRET) == 1633174587


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1633174587",
        f"s={signature()}",
        f"t=1633174588,s={signature()}",
        f"t=1633174587,s={signature()[:-1]}",
        "t=1633174587,s=",
        "t=1633174587,s=é",
        f"t=,s={signature(at='')}",
        f"t=-1,s={signature(at='-1')}",
        f"t=9{'9' * 20},s={signature(at='9' * 21)}",
        f"t=x,s={signature(at='x')}",
    ],
)
def test_any_other_signature_is_refused(header: str) -> None:
    """Also one that is right for a time which is none."""
    assert signed_at(header, BODY, secret=SECRET) is None


def test_the_signature_is_for_this_body_and_secret() -> None:
    """One byte more or less, or another secret, and it is wrong."""
    header = f"t=1633174587,s={signature()}"
    assert signed_at(header, BODY[:-1], secret=SECRET) is None
    assert signed_at(header, BODY + b" ", secret=SECRET) is None
    assert signed_at(header, BODY, secret=SECRET + "x") is None


@given(header=st.text(), body=st.binary())
def test_no_header_breaks_the_check(header: str, body: bytes) -> None:
    """An unsigned event is refused without an exception."""
    assert signed_at(header, body, secret=SECRET) is None


def test_an_event_is_read() -> None:
    """TikTok's own form: seconds, and the content as a string of JSON."""
    found = read_event(event())
    assert (found.name, found.kind) == ("post.publish.complete", EventKind.COMPLETE)
    assert (found.client_key, found.open_id) == ("key", "-000abc")
    assert found.created_at == datetime(2021, 3, 10, 1, 10, 10, tzinfo=UTC)
    assert (found.publish_id, found.post_id) == (PUBLISH_ID, None)
    assert json.loads(found.body)["user_openid"] == "-000abc"


@pytest.mark.parametrize("post_id", [7602997517160123666, "7602997517160123666"])
def test_an_id_is_exact(post_id: object) -> None:
    """As a number or as a string: it has more digits than a float can hold."""
    found = read_event(event({"publish_id": PUBLISH_ID, "post_id": post_id}))
    assert found.post_id == "7602997517160123666"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("post.publish.no_longer_publicaly_available", EventKind.WITHDRAWN),
        ("post.publish.no_longer_publicly_available", EventKind.WITHDRAWN),
        ("authorization.removed", EventKind.ACCESS_REMOVED),
        ("video.publish.completed", None),
        ("something.new", None),
    ],
)
def test_what_an_event_is_about(name: str, kind: EventKind | None) -> None:
    """Both spellings count; older and unknown events are nothing to us."""
    found = read_event(event(event=name))
    assert (found.name, found.kind) == (name, kind)


def test_content_that_is_no_string_is_read_too() -> None:
    """Strict in what is sent, liberal in what is read."""
    content = {"publish_id": PUBLISH_ID}
    assert read_event(event(content=content)).publish_id == PUBLISH_ID


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"event":',
        b'{"event": 5}',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"create_time": ' + b"9" * 5_000 + b"}",
        b'{"event": "\\u0000"}',
    ],
)
def test_what_is_no_event_is_still_something_to_keep(body: bytes) -> None:
    """It has a name and a body that any database takes."""
    found = read_event(body)
    assert (found.name, found.kind) == (UNREADABLE, None)
    assert "\0" not in found.body
    found.body.encode()


@given(body=st.binary(max_size=200))
def test_no_body_breaks_the_reading(body: bytes) -> None:
    """Every event that TikTok signs can be read and stored."""
    found = read_event(body)
    assert found.name
    found.body.encode()


def test_a_repeat_has_the_same_key() -> None:
    """However its JSON is written: event, user, publish, and post or time."""
    same = json.dumps(json.loads(event()), indent=1).encode()
    assert read_event(same).dedup_key == read_event(event()).dedup_key


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "post.publish.failed"},
        {"user_openid": "another"},
        {"create_time": 1615338611},
        {"content": json.dumps({"publish_id": "another"})},
        {"content": json.dumps({"publish_id": PUBLISH_ID, "post_id": "1"})},
    ],
)
def test_another_event_has_another_key(changes: dict[str, object]) -> None:
    """A draft may be posted twice, which are two events."""
    assert read_event(event(**changes)).dedup_key != read_event(event()).dedup_key


def test_a_public_post_is_told_of_once() -> None:
    """Its id names it, whenever the event was made."""
    content = {"publish_id": PUBLISH_ID, "post_id": "1"}
    first, again = event(content), event(content, create_time=1615338999)
    assert read_event(first).dedup_key == read_event(again).dedup_key


def test_older_events_of_one_second_are_not_mixed_up() -> None:
    """They have no ids that we read, so every byte counts."""
    keys = {
        read_event(
            event({"share_id": share}, event="video.publish.completed")
        ).dedup_key
        for share in ("one", "two")
    }
    assert len(keys) == 2
