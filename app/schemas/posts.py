"""A post in requests and answers.

A new field is added to all three models.
"""

from typing import Annotated

from pydantic import MISSING, Field

from app.domain.posts.post import (
    MAX_DESCRIPTION_UNITS,
    MAX_PHOTOS,
    MAX_TITLE_UNITS,
    MediaType,
    PostMode,
    PrivacyLevel,
)
from app.schemas.fields import Answer, Request, Text

Title = Annotated[
    Text,
    Field(
        description=f"The caption; at most {MAX_TITLE_UNITS} UTF-16 code units",
        json_schema_extra={"maxLength": MAX_TITLE_UNITS},
    ),
]
Description = Annotated[
    Text,
    Field(
        description="Of photos: the text below the title;"
        f" at most {MAX_DESCRIPTION_UNITS} UTF-16 code units",
        json_schema_extra={"maxLength": MAX_DESCRIPTION_UNITS},
    ),
]
# In JSON an enum's value is a string, which strict types would refuse.
Mode = Annotated[PostMode, Field(strict=False)]
Privacy = Annotated[PrivacyLevel, Field(strict=False)]
Media = Annotated[MediaType, Field(strict=False)]
CoverIndex = Annotated[int, Field(ge=0, lt=MAX_PHOTOS)]
Milliseconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


class PostRequest(Request):
    """The person's choices for a post."""

    mode: Mode = Field(
        PostMode.DIRECT,
        description="direct: published. inbox: a draft, finished in TikTok's app",
    )
    title: Title = ""
    privacy_level: Privacy | None = Field(
        None, description="Required for direct posts; it has no default"
    )
    disable_comment: bool = False
    disable_duet: bool = False
    disable_stitch: bool = False
    video_cover_timestamp_ms: Milliseconds | None = None
    brand_content_toggle: bool = Field(False, description="A paid partnership")
    brand_organic_toggle: bool = Field(False, description="The creator's own business")
    is_aigc: bool = Field(False, description="Made with AI")
    media_type: Media = Field(
        MediaType.VIDEO, description="photo: one to 35 of them, in assetUrls"
    )
    description: Description = ""
    photo_cover_index: CoverIndex = Field(
        0, description="Which of the photos is shown first, counted from 0"
    )
    auto_add_music: bool = Field(
        False, description="Let TikTok choose music for photos"
    )


class PostPatch(Request):
    """The choices that change; the others stay."""

    mode: Mode | MISSING = MISSING
    title: Title | MISSING = MISSING
    privacy_level: Privacy | MISSING | None = MISSING
    disable_comment: bool | MISSING = MISSING
    disable_duet: bool | MISSING = MISSING
    disable_stitch: bool | MISSING = MISSING
    video_cover_timestamp_ms: Milliseconds | MISSING | None = MISSING
    brand_content_toggle: bool | MISSING = MISSING
    brand_organic_toggle: bool | MISSING = MISSING
    is_aigc: bool | MISSING = MISSING
    media_type: Media | MISSING = MISSING
    description: Description | MISSING = MISSING
    photo_cover_index: CoverIndex | MISSING = MISSING
    auto_add_music: bool | MISSING = MISSING


class PostAnswer(Answer):
    """The person's choices, as stored."""

    mode: PostMode
    title: str
    privacy_level: PrivacyLevel | None
    disable_comment: bool
    disable_duet: bool
    disable_stitch: bool
    video_cover_timestamp_ms: int | None
    brand_content_toggle: bool
    brand_organic_toggle: bool
    is_aigc: bool
    media_type: MediaType
    description: str = Field(description="Photos only, like the next fields")
    photo_cover_index: int
    auto_add_music: bool
