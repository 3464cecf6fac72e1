"""What TikTok does not post: wrong formats, sides, frame rates, durations.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from app.sandbox.film import Film, look_at_film
from app.sandbox.intake import Intake
from app.sandbox.look import look_at_picture

FORMAT, DURATION = "file_format_check_failed", "duration_check_failed"
FRAME_RATE, SIDES = "frame_rate_check_failed", "picture_size_check_failed"

MAX_PHOTO_BYTES = 20_000_000
MAX_PHOTO_SHORT_SIDE = 1080
"""TikTok says "1080p"; integrators saw sets fail when the shorter side was longer."""

LEAST_SIDE, MOST_SIDE = 360, 4096
LEAST_FRAMES, MOST_FRAMES = 23, 60


def verdict_on_photo(intake: Intake) -> str | None:
    """Name why this photo fails its set; None if nothing speaks against it."""
    picture = look_at_picture(intake.head)
    if picture is None or picture.format == "png":
        return FORMAT
    too_long = picture.sides and min(picture.sides) > MAX_PHOTO_SHORT_SIDE
    return SIDES if too_long or intake.count > MAX_PHOTO_BYTES else None


def verdict_on_video(intake: Intake, *, max_seconds: int) -> str | None:
    """Name why this video fails; what cannot be told from its head is no reason."""
    if look_at_picture(intake.head) is not None:
        return FORMAT
    film = look_at_film(intake.head)
    return _verdict(film, max_seconds) if film else None


def _verdict(film: Film, max_seconds: int) -> str | None:
    if film.seconds is not None and film.seconds > max_seconds:
        return DURATION
    if film.sides and not all(LEAST_SIDE <= side <= MOST_SIDE for side in film.sides):
        return SIDES
    rate = film.frame_rate
    # A clock in whole ticks may miss a rate by a hair.
    if rate is not None and not LEAST_FRAMES - 0.5 < rate < MOST_FRAMES + 0.5:
        return FRAME_RATE
    return None
