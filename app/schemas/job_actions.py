"""What callers send and get when they cancel, move or look back at jobs."""

from pydantic import Field

from app.schemas.fields import Answer


class ReboundAnswer(Answer):
    """What became of the jobs that were made for another account."""

    moved: int
    skipped: int = Field(description="At TikTok, or being worked on just now")
