"""Running uploads: their encrypted URLs, and how far they got."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from app.domain.errors import TokenUnreadable
from app.domain.jobs.job import Job
from app.domain.jobs.witness import Witness
from app.domain.posts.upload import REPEAT_WINDOW, Upload
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.jobs.init_writes import UPLOAD_COLUMNS, InitWrite, InitWriter

_read: Final = msgspec.json.Decoder(Upload).decode
_write: Final = msgspec.json.Encoder().encode


class UploadSeal:
    """Converts an upload to the encrypted text in the table and back.

    ``accounts reencrypt`` skips these: TikTok ends an upload within the hour, and one
    that no key decrypts is requested again, or polled.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, job_id: str, upload: Upload) -> str:
        """Encrypt an upload: whoever reads its URL can publish."""
        return self._vault.encrypt(_write(upload).decode(), bound_to=_cell(job_id))

    def open(self, job_id: str, sealed: str) -> Upload | None:
        """Return an upload; None if no key decrypts it."""
        try:
            text = self._vault.decrypt(sealed, bound_to=_cell(job_id))
            return _read(text)
        except (TokenUnreadable, msgspec.MsgspecError):
            return None


class UploadStore:
    """Writes uploads under the claim tokens of their jobs."""

    def __init__(
        self, database: Database, vault: Vault, *, witness: Witness | None = None
    ) -> None:
        self._seal = UploadSeal(vault)
        self._writer = InitWriter(database, more=UPLOAD_COLUMNS, witness=witness)

    def opened(self, job: Job) -> Upload | None:
        """Return a job's open upload.

        None if it belongs to another publish than the job's, or no key decrypts it.
        """
        if job.upload_url is None:
            return None
        upload = self._seal.open(job.id, job.upload_url)
        of_this = upload is not None and upload.publish_id == job.publish_id
        return upload if of_this else None

    async def save(
        self,
        job: Job,
        upload: Upload,
        *,
        size: int,
        etag: str | None,
        marks: bool,
        now: datetime,
    ) -> Job | None:
        """Write an upload before its first byte; None if the claim is lost.

        ``marks``: its only chunk is about to be sent, so this is its ``mark``, too.
        The previous publish is recorded: TikTok's events about it are no news.
        """
        after = replace(
            job,
            init_sent_at=now if marks else None,
            media_token=None,
            waiting_for=None,
            publish_id=upload.publish_id,
            publish_started_at=now,
            upload_url=self._seal.seal(job.id, upload),
            upload_issued_at=now,
            uploaded_bytes=0,
            source_size=size,
            source_etag=etag,
            updated_at=now,
        )
        buries = job.publish_id not in {None, upload.publish_id}
        return await self._writer.write(
            InitWrite(job, after, buries=buries, is_stamp=marks)
        )

    async def mark(self, job: Job, *, uploaded: int, now: datetime) -> Job | None:
        """Write that the last chunk is about to be sent, before it is.

        None if the claim is lost or its lease over: it must not be sent.
        """
        after = replace(
            job,
            init_sent_at=now,
            publish_started_at=now,
            waiting_for=None,
            uploaded_bytes=_known(job, uploaded),
            updated_at=now,
        )
        return await self._writer.write(InitWrite(job, after, is_stamp=True))

    async def note(self, job: Job, *, uploaded: int, now: datetime) -> Job | None:
        """Write how many bytes TikTok has; None if the claim is lost."""
        after = replace(job, uploaded_bytes=_known(job, uploaded), updated_at=now)
        if job.in_flight:  # the poll deadline counts from the last chunk's end
            after = replace(after, publish_started_at=now)
        return await self._writer.write(InitWrite(job, after))

    async def forget(self, job: Job, *, repeats: bool, now: datetime) -> Job | None:
        """Write that an upload failed for good; None if the claim is lost.

        ``repeats``: another one is requested at once, off the schedule.
        """
        at = now.timestamp()
        least = at - REPEAT_WINDOW.total_seconds()
        recent = tuple(each for each in job.upload_repeats if each > least)
        after = replace(
            job,
            init_sent_at=None,
            upload_url=None,
            upload_repeats=(*recent, at) if repeats else recent,
            updated_at=now,
        )
        return await self._writer.write(InitWrite(job, after))


def _known(job: Job, uploaded: int) -> int:
    """Return what TikTok has of a publish: it never becomes less."""
    return max(uploaded, job.uploaded_bytes or 0)


def _cell(job_id: str) -> str:
    return f"schedule_jobs:{job_id}:upload_url"
