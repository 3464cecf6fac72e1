"""Browser tokens in requests and answers."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from app.schemas.fields import Answer, Request, Timestamp


class BrowserTokenRequest(Request):
    """What a browser may do, and for how long."""

    ttl_seconds: Annotated[int, Field(ge=1, le=3600)]
    access: Literal["read", "compose"] = Field(
        description="read: look and watch. compose: also ask what the creator may"
        " choose, and validate, schedule, change, cancel and retry jobs"
    )

    @property
    def lives(self) -> timedelta:
        """Return its lifetime."""
        return timedelta(seconds=self.ttl_seconds)


class BrowserTokenAnswer(Answer):
    """A token; whoever has it can use it until it expires."""

    token: str = Field(repr=False)
    expires_at: Timestamp
