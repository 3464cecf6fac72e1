"""Nothing that arrives raises, or claims more than it proves."""

import json
from collections.abc import Callable, Iterator
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from app.domain.codes import CODES
from app.domain.jobs.outcome import Fault, Verdict
from app.tiktok import decode
from app.tiktok.values import InitTaken
from app.tiktok.wire import ApiAnswer

READERS: list[Callable[[ApiAnswer], object]] = [
    decode.creator_info,
    decode.init,
    decode.upload_init,
    decode.cancelled,
    decode.status,
    decode.user_info,
    decode.list_videos,
    partial(decode.refreshed, refresh_token="rft.old"),
    decode.exchanged,
    decode.revoked,
]
KEYS = [
    "access_token", "create_time", "cursor", "display_name", "error", "expires_in",
    "fail_reason", "has_more", "id", "max_video_post_duration_sec", "open_id",
    "privacy_level_options", "publicaly_available_post_id", "publish_id",
    "refresh_expires_in", "refresh_token", "scope", "status", "title", "upload_url",
    "uploaded_bytes", "user", "videos",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["PUBLISH_COMPLETE", "FAILED", "v_pub_url~v2.1", "86400"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=12,
)
data = st.dictionaries(st.sampled_from(KEYS), values, max_size=10)
codes = st.sampled_from(["ok", *CODES]) | scalars
errors = values | st.fixed_dictionaries(
    {"code": codes}, optional={"message": values, "log_id": values, "logid": values}
)
envelopes = st.fixed_dictionaries({}, optional={"data": data | values, "error": errors})
flat = st.builds(
    lambda body, error: body | error,
    data,
    st.fixed_dictionaries({}, optional={"error": codes, "error_description": values}),
)
bodies = st.binary() | (envelopes | flat | values).map(
    lambda body: json.dumps(body).encode()
)
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 502, 599])


def texts(value: object) -> Iterator[str]:
    """Give every text inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for entry in value:
            yield from texts(entry)
    elif isinstance(value, Struct):
        yield from texts(structs.astuple(value))


@given(bodies, statuses, st.sampled_from(READERS))
def test_any_answer_is_a_value(
    body: bytes, status: int, read: Callable[[ApiAnswer], object]
) -> None:
    """Every answer becomes a value whose texts can be logged and stored."""
    result = read(ApiAnswer(status=status, body=body))
    for text in texts(result):
        assert "\0" not in text.encode().decode()
    if isinstance(result, Fault):
        assert result.code
        assert result.message
        assert len(result.message) <= 500


@given(bodies, statuses)
def test_no_answer_claims_more_than_it_proves(body: bytes, status: int) -> None:
    """An init is refused by TikTok's word or a 4xx page, taken with an id alone."""
    result = decode.init(ApiAnswer(status=status, body=body))
    if isinstance(result, InitTaken):
        assert result.publish_id
        return
    assert result.verdict is not Verdict.NOT_SENT
    if result.code == "turned_away":
        assert 400 <= status < 500
    elif result.verdict is Verdict.ANSWERED and status != 429:
        error = json.loads(body)["error"]
        assert isinstance(error["code"], str)
        assert error["code"] != "ok"
