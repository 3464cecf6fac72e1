"""Remember every TikTok call, so that a test can count what really arrived."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.sandbox.answers import Answer

KEPT = 200_000
"""Calls remembered; the oldest go first."""

SECRETS = frozenset(
    {
        "access_token",
        "refresh_token",
        "token",
        "code",
        "code_verifier",
        "client_secret",
    }
)


class Call(StrEnum):
    """Name each of TikTok's endpoints that is simulated."""

    AUTHORIZE = "authorize"
    TOKEN = "token"
    REVOKE = "revoke"
    USER_INFO = "user_info"
    VIDEO_LIST = "video_list"
    CREATOR_INFO = "creator_info"
    INIT = "init"
    INBOX_INIT = "inbox_init"
    CONTENT_INIT = "content_init"
    UPLOAD = "upload"
    STATUS = "status"
    CANCEL = "cancel"


@dataclass(slots=True)
class Record:
    """Hold one call: what was asked, and what was said and done about it."""

    at: float
    call: Call
    open_id: str | None
    publish_id: str | None
    title: str | None
    body: Mapping[str, object]
    fault: str | None = None
    http_status: int | None = None
    code: str | None = None
    taken: bool = False

    def done(self, answer: Answer) -> None:
        """Note that the call was carried out, whatever is said about it later."""
        self.taken = answer.ok
        self.publish_id = answer.publish_id or self.publish_id

    def said(self, answer: Answer) -> None:
        """Note the answer that the caller can read."""
        self.http_status = answer.status
        self.code = answer.code

    def to_json(self) -> dict[str, object]:
        """Give the call as the control route shows it."""
        return {
            "at": self.at,
            "call": self.call,
            "openId": self.open_id,
            "publishId": self.publish_id,
            "title": self.title,
            "httpStatus": self.http_status,
            "code": self.code,
            "taken": self.taken,
            "fault": self.fault,
            "body": dict(self.body),
        }


@dataclass(slots=True)
class CallLog:
    """Keep the calls in the order in which they came."""

    records: deque[Record] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, record: Record) -> None:
        """Remember a call."""
        self.records.append(record)

    def find(
        self,
        *,
        call: str | None = None,
        open_id: str | None = None,
        since: float | None = None,
    ) -> Iterator[Record]:
        """Yield the calls that fit, oldest first; `since` is in epoch seconds."""
        for record in self.records:
            if call is not None and record.call != call:
                continue
            if open_id is not None and record.open_id != open_id:
                continue
            if since is not None and record.at < since:
                continue
            yield record

    def clear(self) -> None:
        """Forget every call."""
        self.records.clear()


def without_secrets(body: Mapping[str, object]) -> dict[str, object]:
    """Copy a request body without tokens, codes and secrets."""
    return {name: value for name, value in body.items() if name not in SECRETS}
