"""What every error looks like.

https://www.rfc-editor.org/rfc/rfc9457
"""

from pydantic import BaseModel, Field


class ProblemError(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer into the body, or /parameter")
    detail: str


class Problem(BaseModel):
    """What every error looks like."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; this is what programs should look at")
    errors: list[ProblemError] | None = Field(None, description="With status 422")
    reason: str | None = Field(
        None, description="With posting_not_allowed: TikTok's own code"
    )
    id: str | None = Field(None, description="With may_have_been_stored: the job's")
