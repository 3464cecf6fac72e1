"""What an asset is, and how badly it is served: the query string says it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.sandbox.assets.content import Content
from app.sandbox.assets.mp4 import Shape, mp4
from app.sandbox.assets.pictures import MAX_SIDE, PictureFormat, picture
from app.sandbox.settings import Camel

MAX_BYTES = 4 * 1024**3
"""TikTok's limit for one video."""

DEFAULT_BYTES = 4096
MP4_HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
TYPES: dict[str, str] = {
    "mp4": "video/mp4",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "png": "image/png",
}

Bytes = Annotated[int, Field(ge=0), AfterValidator(lambda n: min(n, MAX_BYTES))]
Count = Annotated[int, Field(ge=0)]
Status = Annotated[int, Field(ge=200, le=599)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class AssetQuery(Camel):
    """Read the query string of an asset.

    Names that nobody knows are ignored, so that ?n=1 and ?n=2 are two assets.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )

    bytes: Bytes | None = None
    """The length; a real video or picture is at least as long as it needs to be."""
    seed: int | None = None
    """Fill with bytes that differ everywhere, other ones for another seed."""
    digest: bool = False
    """Answer length and SHA-256 of the asset, as JSON, instead of the asset."""

    duration: Annotated[float, Field(gt=0, le=36_000)] | None = None
    width: Side | None = None
    height: Side | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    codec: Annotated[str, Field(pattern=r"^[ -~]{1,4}$")] | None = None
    """The sample entry: avc1, hvc1, vp09, av01, mp4v."""
    moov: Literal["start", "end"] | None = None
    """Where the video's index stands. Any of these six makes a real little MP4."""

    status: Status = 200
    redirect: bool = False
    location: str | None = None
    """Where the redirect leads; without it, to the same address again."""
    range: bool = True
    """Switched off: Range is ignored, and the whole is answered."""
    etag: str | None = None
    change_after: Annotated[int, Field(ge=1)] | None = None
    """After each so many GETs the asset becomes another one, under another ETag."""
    gone_after: Count | None = None
    """After so many GETs it is 404."""
    length: Count | None = None
    """The Content-Length that is announced, true or not."""
    no_length: bool = False
    """Announce none: the end is where the connection says so."""
    total: Count | None = None
    """The length that Content-Range tells, true or not."""
    type: str | None = None
    head_status: Status | None = None
    head_length: Count | None = None
    head_type: str | None = None
    """What HEAD says otherwise than GET."""
    delay_seconds: Seconds = 0
    bytes_per_second: Annotated[float, Field(gt=0)] | None = None
    stall_after: Count | None = None
    """Send so many bytes, then nothing more, and keep the connection open."""
    cut_after: Count | None = None
    """Send so many bytes, then reset the connection."""

    def film(self, *, changed: int) -> Content:
        """Make the video; `changed` counts how often it became another one."""
        size = DEFAULT_BYTES if self.bytes is None else self.bytes
        seed = self._seed(changed)
        said = (
            self.duration,
            self.width,
            self.height,
            self.fps,
            self.codec,
            self.moov,
        )
        if all(value is None for value in said):
            head = MP4_HEAD[:size]
            return Content(head, size - len(head), b"", seed)
        return mp4(self._shape(), size=size, moov=self.moov or "start", seed=seed)

    def picture(self, kind: PictureFormat, *, changed: int) -> Content:
        """Make the picture; what it lacks in length follows behind its end."""
        drawn = picture(kind, self.width or 1080, self.height or 1080)
        filling = max((self.bytes or 0) - len(drawn), 0)
        return Content(drawn, filling, b"", self._seed(changed))

    def _shape(self) -> Shape:
        return Shape(
            seconds=self.duration or 10,
            width=self.width or 576,
            height=self.height or 1024,
            frame_rate=self.fps or 30,
            codec=self.codec or "avc1",
        )

    def _seed(self, changed: int) -> int | None:
        return self.seed if not changed else (self.seed or 0) + changed
