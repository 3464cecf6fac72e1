"""docs/webhooks.md shows what is sent, and a receiver that works."""

import re
from datetime import UTC, datetime
from typing import Any

from app.domain.events import EventType
from app.domain.webhook_endpoint import signatures
from tests.support.receiver import SECRET
from tests.support.repository import ROOT

TEXT = (ROOT / "docs" / "webhooks.md").read_text()


def test_every_event_has_its_line() -> None:
    """None is missing, none is made up."""
    listed = re.findall(r"^\| `([a-z_.]+)` \|", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(EventType)


def test_the_example_verifies() -> None:
    """Pasted as it stands, it takes what is ours, once, and nothing else."""
    handled: list[object] = []
    names: dict[str, Any] = {
        "secret": SECRET,
        "first_time": lambda _: not handled,
        "handle": lambda *event: handled.append(event),
    }
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, names)
    body, now = b'{"type":"job.posted","data":{"id":"1"}}', datetime.now(UTC)
    timestamp = int(now.timestamp())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(
            body, event_id="evt_1", timestamp=timestamp, secrets=(SECRET,)
        ),
    }
    assert [names["receive"](headers, body) for _ in range(2)] == [204, 204]
    assert names["receive"](headers, body + b" ") == 401
    assert handled == [("job.posted", {"id": "1"})]
