"""What people do wrong with API, commands and settings, and what they must be told.

One table for each of the three: whoever reads the answer can mend it at once.
"""

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from app.domain.api_key import KeyAccess
from app.domain.jobs.job import FailureReason
from app.settings import Settings, SettingsError, load, misspelt_settings
from tests.api.serving import CRON_SECRET, Api, client_of, job_body, serving
from tests.support.factories import FAILED, POSTED, PROCESSING, SCHEDULED, store_job
from tests.system.programs import Programs

JSON: Final = {"Content-Type": "application/json"}
JOBS: Final = "/v1/jobs"
OF_PROJECT: Final = "/v1/projects/proj_1"
ACCOUNT: Final = f"{OF_PROJECT}/accounts/tiktok"
TIME: Final = (
    "must be an RFC 3339 time with an offset, such as 2026-04-09T12:00:00.000Z"
)
PHOTO: Final = {"mediaType": "photo", "privacyLevel": "SELF_ONLY"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request; in its path ``{posted}`` and the like stand for a job's id."""

    method: str
    path: str
    json: object = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = "all"


@dataclass(frozen=True, slots=True)
class Told:
    """What the answer must say."""

    status: int
    says: str
    code: str = "invalid_request"
    at: str | None = None  # the pointer, of a 422


def job(at: str, says: str, **changes: object) -> tuple[Sent, Told]:
    """Write a request for a job with one mistake in it."""
    return Sent("POST", JOBS, json=job_body(**changes)), Told(422, says, at=at)


def post(at: str, says: str, **post: object) -> tuple[Sent, Told]:
    """Write a request for a job with one mistake in its post."""
    return job(f"/post/{at}", says, post={"privacyLevel": "SELF_ONLY", **post})


def time(value: object, says: str) -> tuple[Sent, Told]:
    """Write a request for a job at a time that is none."""
    return job("/scheduledFor", says, scheduledFor=value)


def listing(query: str, at: str, says: str) -> tuple[Sent, Told]:
    """Write a request for a list with one mistake in its query."""
    return Sent("GET", f"{JOBS}?{query}"), Told(422, says, at=at)


REQUESTS: Final[Mapping[str, tuple[Sent, Told]]] = {
    # The body as a whole.
    "no JSON": (
        Sent("POST", JOBS, content=b'{\n  "a": 1,\n}', headers=JSON),
        Told(400, "line 3, column 1", "malformed_request"),
    ),
    "a brace is missing": (
        Sent("POST", JOBS, content=b"{", headers=JSON),
        Told(400, "line 1, column 2", "malformed_request"),
    ),
    "letters that take two bytes": (
        Sent("POST", JOBS, content='{\n"ü": ü}'.encode(), headers=JSON),
        Told(400, "line 2, column 6", "malformed_request"),
    ),
    "letters of another encoding": (
        Sent("POST", JOBS, content='{\n"ü": "é"}'.encode("latin-1"), headers=JSON),
        Told(400, "not UTF-8: see line 2, column 2", "malformed_request"),
    ),
    "single quotes": (
        Sent("POST", JOBS, content=b"{'projectId': 1}", headers=JSON),
        Told(400, "line 1, column 2", "malformed_request"),
    ),
    "an empty body": (
        Sent("POST", JOBS, headers=JSON),
        Told(422, "The body is empty; send JSON.", at=""),
    ),
    "an empty body without a type": (
        Sent("POST", JOBS),
        Told(422, "The body is empty; send JSON.", at=""),
    ),
    "no content type": (
        Sent("POST", JOBS, content=b"{}"),
        Told(415, "Content-Type: application/json", "unsupported_media_type"),
    ),
    "a form": (
        Sent(
            "POST",
            JOBS,
            content=b"projectId=proj_1",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
        Told(415, "Content-Type: application/json", "unsupported_media_type"),
    ),
    "a list": (Sent("POST", JOBS, json=[job_body()]), Told(422, "an object", at="")),
    "a body that is too large": (
        Sent("POST", JOBS, json=job_body(metadata={"a": "x" * 70_000})),
        Told(413, "64 KiB", "body_too_large"),
    ),
    # Fields.
    "nothing in it": (Sent("POST", JOBS, json={}), Told(422, "required", at="/post")),
    "a field of another spelling": job(
        "/asset_url", "did you mean assetUrl?", asset_url="https://a.example.com/v.mp4"
    ),
    "small letters": job("/projectid", "did you mean projectId?", projectid="x"),
    "large letters": job("/ProjectID", "did you mean projectId?", ProjectID="x"),
    "a hyphen": job("/asset-url", "did you mean assetUrl?", **{"asset-url": "x"}),
    "a typing error": job("/schedulFor", "did you mean scheduledFor?", schedulFor="x"),
    "a field of nothing": job("/caption", "is not known here", caption="x"),
    "the title beside the post": job(
        "/title", "belongs in post: post.title", title="Hello"
    ),
    "a post's field of another spelling": post(
        "privacy_level", "did you mean privacyLevel?", privacy_level="SELF_ONLY"
    ),
    "no audience": (
        Sent("POST", JOBS, json=job_body(post={"mode": "direct"})),
        Told(422, "needs a privacy level", at="/post/privacyLevel"),
    ),
    "an audience in small letters": post(
        "privacyLevel", "'SELF_ONLY'", privacyLevel="self_only"
    ),
    "an unknown mode": post("mode", "must be 'direct' or 'inbox'", mode="Direct"),
    "a number for a name": job("/projectId", "must be a valid string", projectId=7),
    "text for a number": job(
        "/maxAttempts", "must be a valid integer", maxAttempts="5"
    ),
    "text for a yes or no": post("isAigc", "must be a valid boolean", isAigc="yes"),
    "no attempt": job("/maxAttempts", "greater than or equal to 1", maxAttempts=0),
    "a bar in a name": job("/assetId", "must not contain '|'", assetId="a|b"),
    "an empty name": job("/assetId", "must have 1 to 200 characters", assetId=""),
    "a title that is too long": post("title", "this has 2,345", title="x" * 2345),
    "emojis, which count twice": post("title", "this has 3,000", title="🌷" * 1500),
    "an external id that is too long": job(
        "/externalId",
        "must have at most 255 characters; this has 256",
        externalId="x" * 256,
    ),
    "metadata of numbers": job(
        "/metadata/k", "must be a valid string", metadata={"k": 5}
    ),
    "metadata that is too long": job(
        "/metadata/k",
        "must have at most 512 characters; this has 513",
        metadata={"k": "v" * 513},
    ),
    "a name in metadata that is too long": job(
        "/metadata/" + "a~1b" * 30,
        "must have at most 64 characters; this has 90",
        metadata={"a/b" * 30: "v"},
    ),
    "too much metadata": job(
        "/metadata",
        "must have at most 16 items",
        metadata={f"k{n}": "v" for n in range(17)},
    ),
    "no video": job("/assetUrl", "a video needs assetUrl", assetUrl=...),
    "a video over http": job(
        "/assetUrl", "must begin with https://", assetUrl="http://a.example.com/v.mp4"
    ),
    "a path for a URL": job("/assetUrl", "must begin with https://", assetUrl="/v.mp4"),
    "a video on this machine": job(
        "/assetUrl", "needs a public host name", assetUrl="https://localhost/v.mp4"
    ),
    "a space in a URL": job(
        "/assetUrl", "write %20", assetUrl="https://a.example.com/my video.mp4"
    ),
    "a port that does not exist": job(
        "/assetUrl", "a port from 1 to 65535", assetUrl="https://a.example.com:99999/x"
    ),
    "a port that is no number": job(
        "/assetUrl", "a port from 1 to 65535", assetUrl="https://a.example.com:abc/x"
    ),
    "photos at a video's place": job("/assetUrl", "assetUrls instead", post=PHOTO),
    "too many photos": job(
        "/assetUrls",
        "must have at most 35 items; this has 36",
        assetUrl=None,
        assetUrls=["https://a.example.com/p.jpg"] * 36,
        post=PHOTO,
    ),
    "a video's choice for photos": job(
        "/post/disableDuet",
        "does not accept this field for photos",
        assetUrl=...,
        assetUrls=["https://a.example.com/p.jpg"],
        post={**PHOTO, "disableDuet": True},
    ),
    "a title for a draft": post(
        "title",
        "does not accept this field for a video draft",
        mode="inbox",
        privacyLevel=None,
        title="x",
    ),
    # Times.
    "a time without a zone": time("2026-04-09T12:00:00", "end it with Z, or"),
    "a date alone": time("2026-04-09", TIME),
    "a number of seconds": time(1_775_736_000, TIME),
    "a word": time("tomorrow", TIME),
    "an offset without a colon": time("2026-04-09T12:00:00+0200", TIME),
    "a zone's name": time("2026-04-09T12:00:00[Europe/Berlin]", TIME),
    "a day that does not exist": time("2026-04-31T12:00:00Z", "not in the calendar"),
    "milliseconds taken for seconds": time(
        "1970-01-21T12:00:00Z", "must be between 2000 and 2100"
    ),
    "a deadline before its time": job(
        "/publishBy",
        "must be later than scheduledFor",
        publishBy="2026-04-09T11:00:00Z",
    ),
    # Keys of idempotency.
    "an empty key": (
        Sent("POST", JOBS, json=job_body(), headers={"Idempotency-Key": ""}),
        Told(422, "must have at least 1 character", at="/Idempotency-Key"),
    ),
    "a key with a space": (
        Sent("POST", JOBS, json=job_body(), headers={"Idempotency-Key": "a b"}),
        Told(422, "visible ASCII characters, without spaces", at="/Idempotency-Key"),
    ),
    "a key for two bodies": (
        Sent("POST", JOBS, json=job_body(), headers={"Idempotency-Key": "used"}),
        Told(409, "with another body; use a new one", "idempotency_key_reused"),
    ),
    # Queries.
    "a filter of another spelling": listing(
        "project_id=proj_1", "/project_id", "did you mean projectId?"
    ),
    "a parameter given twice": listing("limit=1&limit=2", "/limit", "give it once"),
    "two projects": listing("projectId=a&projectId=b", "/projectId", "give it once"),
    "two orders": listing("sort=createdAt&sort=createdAt", "/sort", "give it once"),
    "a limit of nothing": listing("limit=0", "/limit", "greater than or equal to 1"),
    "a limit above all": listing("limit=500", "/limit", "less than or equal to 200"),
    "a limit in words": listing("limit=ten", "/limit", "must be a valid integer"),
    "pages by number": listing("page=2", "/page", "is not known here"),
    "a status in large letters": listing("status=Posted", "/status", "'posted'"),
    "statuses with commas": listing("status=posted,failed", "/status", "'posted'"),
    "an unknown reason": listing("failureReason=x", "/failureReason", "'unconfirmed'"),
    "an order by another name": listing(
        "order=descending", "/order", "'asc' or 'desc'"
    ),
    "a plus that became a space": listing(
        "scheduledFrom=2026-04-09T12:00:00+02:00", "/scheduledFrom", "written %2B"
    ),
    "a cursor of one's own": listing("cursor=2", "/cursor", "use nextCursor"),
    "a cursor of another order": listing(
        "cursor={cursor}&sort=createdAt", "/cursor", "keep sort and order"
    ),
    "a cursor of another list": (
        Sent("GET", "/v1/accounts?cursor={cursor}"),
        Told(422, "use nextCursor", at="/cursor"),
    ),
    "a parameter where there is none": (
        Sent("GET", f"{JOBS}/{{posted}}?fields=id"),
        Told(422, "is not known here", at="/fields"),
    ),
    "a dry run that would not be one": (
        Sent("POST", f"{JOBS}?dryRun=true", json=job_body()),
        Told(422, "is not known here", at="/dryRun"),
    ),
    "events, a limit given twice": (
        Sent("GET", f"{OF_PROJECT}/webhook/events?limit=1&limit=2"),
        Told(422, "give it once", at="/limit"),
    ),
    # Paths and methods.
    "a slash at the end": (
        Sent("GET", f"{JOBS}/"),
        Told(404, "without the slash at its end", "not_found"),
    ),
    "no /v1": (Sent("GET", "/jobs"), Told(404, "with /v1 before it", "not_found")),
    "a path of nothing": (
        Sent("GET", "/v1/posts"),
        Told(404, "/docs lists them all", "not_found"),
    ),
    "another platform": (
        Sent("GET", f"{OF_PROJECT}/accounts/youtube"),
        Told(404, "There is no such path", "not_found"),
    ),
    "a wrong method": (
        Sent("PUT", JOBS),
        Told(405, "allowed: GET, POST", "method_not_allowed"),
    ),
    "a job by PUT": (
        Sent("PUT", f"{JOBS}/{{scheduled}}", json={}),
        Told(405, "allowed: GET, PATCH, DELETE", "method_not_allowed"),
    ),
    "a retry by GET": (
        Sent("GET", f"{JOBS}/{{unconfirmed}}/retry"),
        Told(405, "allowed: POST", "method_not_allowed"),
    ),
    # Keys.
    "no key": (
        Sent("GET", JOBS, key=None),
        Told(401, "A valid key is needed: Authorization: Bearer <key>", "unauthorized"),
    ),
    "a key in another header": (
        Sent("GET", JOBS, headers={"X-API-Key": "tts_x"}, key=None),
        Told(401, "Authorization: Bearer <key>", "unauthorized"),
    ),
    "a key without its scheme": (
        Sent("GET", JOBS, headers={"Authorization": "tts_x"}, key=None),
        Told(401, "header must be: Bearer <key>", "unauthorized"),
    ),
    "an unknown key": (
        Sent("GET", JOBS, headers={"Authorization": "Bearer tts_x"}, key=None),
        Told(401, "API key is not valid: unknown, revoked or", "unauthorized"),
    ),
    "an expired key": (
        Sent("GET", JOBS, key="expired"),
        Told(401, "revoked or expired", "unauthorized"),
    ),
    "an expired browser token": (
        Sent("GET", JOBS, headers={"Authorization": "Bearer ttb_x"}, key=None),
        Told(401, "browser token is not valid", "unauthorized"),
    ),
    "a read key that writes": (
        Sent("POST", JOBS, json=job_body(), key="read"),
        Told(403, "use one with write access", "read_only_key"),
    ),
    "a key of another project": (
        Sent("POST", JOBS, json=job_body(projectId="proj_2"), key="project"),
        Told(404, "belongs to another project", "not_found"),
    ),
    "a job of another project": (
        Sent("GET", f"{JOBS}/{{foreign}}", key="project"),
        Told(404, "belongs to another project", "not_found"),
    ),
    "a job that never was": (
        Sent("GET", f"{JOBS}/job_1"),
        Told(404, "There is no such thing", "not_found"),
    ),
    # Jobs in another state.
    "changing what is posted": (
        Sent("PATCH", f"{JOBS}/{{posted}}", json={"maxAttempts": 2}),
        Told(409, "the job is posted", "job_not_editable"),
    ),
    "changing what runs": (
        Sent("PATCH", f"{JOBS}/{{running}}", json={"maxAttempts": 2}),
        Told(409, "the job is processing", "job_not_editable"),
    ),
    "giving a job to another project": (
        Sent("PATCH", f"{JOBS}/{{scheduled}}", json={"projectId": "proj_2"}),
        Told(422, "delete the job and make another", at="/projectId"),
    ),
    "changing the title beside the post": (
        Sent("PATCH", f"{JOBS}/{{scheduled}}", json={"title": "x"}),
        Told(422, "belongs in post: post.title", at="/title"),
    ),
    "retrying what runs": (
        Sent("POST", f"{JOBS}/{{running}}/retry"),
        Told(409, "only a failed job is retried", "job_not_retryable"),
    ),
    "retrying what is in doubt": (
        Sent("POST", f"{JOBS}/{{unconfirmed}}/retry"),
        Told(409, "only acceptDuplicateRisk sends it again", "outcome_unknown"),
    ),
    "retrying all for no reason that there is": (
        Sent("POST", f"{OF_PROJECT}/jobs/retry", json={"failureReason": "in_doubt"}),
        Told(422, "'unconfirmed'", at="/failureReason"),
    ),
    "cancelling what is posted": (
        Sent("POST", f"{JOBS}/{{posted}}/cancel"),
        Told(409, "there is nothing to cancel", "job_not_cancellable"),
    ),
    "deleting what is posted": (
        Sent("DELETE", f"{JOBS}/{{posted}}"),
        Told(409, "its row guards the post", "job_not_deletable"),
    ),
    "an empty batch": (
        Sent("POST", f"{JOBS}/batch", json={"items": []}),
        Told(422, "must have at least 1 item;", at="/items"),
    ),
    "a batch of 101": (
        Sent("POST", f"{JOBS}/batch", json={"items": [job_body()] * 101}),
        Told(422, "must have at most 100 items; this has 101", at="/items"),
    ),
    # Accounts, holds, webhooks.
    "no account": (
        Sent("GET", f"{ACCOUNT}/creator-info"),
        Told(404, "No TikTok account is connected", "account_not_connected"),
    ),
    "TikTok's answer as it came": (
        Sent("PUT", ACCOUNT, json={"open_id": "x"}),
        Told(422, "did you mean openId?", at="/open_id"),
    ),
    "a token with its scheme": (
        Sent("PUT", ACCOUNT, json={"accessToken": "Bearer act.x"}),
        Told(422, "without spaces", at="/accessToken"),
    ),
    "connecting without the app's key": (
        Sent("POST", f"{ACCOUNT}/connect"),
        Told(503, "needs TIKTOK_CLIENT_KEY", "oauth_not_configured"),
    ),
    "a browser token for a day": (
        Sent(
            "POST",
            f"{OF_PROJECT}/browser-token",
            json={"ttlSeconds": 86_400, "access": "read"},
        ),
        Told(422, "less than or equal to 3600", at="/ttlSeconds"),
    ),
    "a hold without a reason": (
        Sent("PUT", "/v1/hold", json={}),
        Told(422, "is required", at="/reason"),
    ),
    "a hold until yesterday": (
        Sent("PUT", "/v1/hold", json={"reason": "x", "until": "2020-01-01T00:00:00Z"}),
        Told(422, "must be in the future", at="/until"),
    ),
    "a webhook inside": (
        Sent("PUT", f"{OF_PROJECT}/webhook", json={"url": "https://10.0.0.5/x"}),
        Told(422, "needs a public host name", at="/url"),
    ),
    "a webhook at another port": (
        Sent("PUT", f"{OF_PROJECT}/webhook", json={"url": "https://a.example.com:1/x"}),
        Told(422, "must use port 443", at="/url"),
    ),
    "a webhook without a scheme": (
        Sent("PUT", f"{OF_PROJECT}/webhook", json={"url": "a.example.com/x"}),
        Told(422, "must begin with https://", at="/url"),
    ),
    "a secret that is too short": (
        Sent(
            "PUT",
            f"{OF_PROJECT}/webhook",
            json={"url": "https://a.example.com/x", "secret": "abc"},
        ),
        Told(422, "base64 of 24 to 64 bytes", at="/secret"),
    ),
    # Cron.
    "a tick without its secret": (
        Sent("POST", "/cron/tick", key=None),
        Told(401, "Bearer <CRON_SECRET>", "unauthorized"),
    ),
    "a tick with an API key": (
        Sent("POST", "/cron/tick"),
        Told(401, "an API key is not it", "unauthorized"),
    ),
    "a tick with its secret in the URL": (
        Sent("GET", f"/cron/tick?secret={CRON_SECRET}", key=None),
        Told(401, "Bearer <CRON_SECRET>", "unauthorized"),
    ),
}


@pytest.fixture
async def edge(sqlite_url: str) -> AsyncIterator[Api]:
    """Serve on SQLite: no database has a say in what is told."""
    async with serving(sqlite_url) as running:
        yield running


@pytest.mark.parametrize(("sent", "told"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_with_a_mistake(edge: Api, sent: Sent, told: Told) -> None:
    """Status, code, place and a phrase that says what to do."""
    names = await _jobs(edge)
    headers = {**sent.headers, **await _key(edge, sent.key)}
    async with client_of(edge.app, None, **headers) as caller:
        answer = await caller.request(
            sent.method, sent.path.format(**names), json=sent.json, content=sent.content
        )
    assert (answer.status_code, answer.json()["code"]) == (told.status, told.code)
    text = answer.json()["detail"]
    if told.at is not None:
        found = {each["pointer"]: each["detail"] for each in answer.json()["errors"]}
        assert told.at in found, found
        text += f" {found[told.at]}"
    assert told.says in text


async def _jobs(api: Api) -> dict[str, str]:
    """Store a job of each kind that the table names; return their ids and a cursor."""
    first = await api.client.post(
        JOBS, json=job_body(assetId="first"), headers={"Idempotency-Key": "used"}
    )
    assert first.status_code == 201
    stored = {
        "posted": await store_job(api.database, POSTED),
        "running": await store_job(api.database, PROCESSING),
        "scheduled": await store_job(api.database, SCHEDULED),
        "unconfirmed": await store_job(
            api.database, FAILED, failure_reason=FailureReason.UNCONFIRMED
        ),
        "foreign": await store_job(api.database, SCHEDULED, project_id="proj_2"),
    }
    page = (await api.client.get(f"{JOBS}?limit=1&sort=scheduledFor")).json()
    return {name: job.id for name, job in stored.items()} | {
        "cursor": page["nextCursor"]
    }


async def _key(api: Api, kind: str | None) -> dict[str, str]:
    """Make a key of this kind, and return the header that carries it."""
    if kind is None:
        return {}
    _, secret = await api.services.keys.create(
        "mistaken",
        "proj_1" if kind == "project" else None,
        access=KeyAccess.READ if kind == "read" else KeyAccess.WRITE,
        expires_in=timedelta(seconds=1) if kind == "expired" else None,
    )
    if kind == "expired":
        api.clock.forward(seconds=1)
    return {"Authorization": f"Bearer {secret}"}


async def test_all_mistakes_are_told_at_once(edge: Api) -> None:
    """Advice on one hides no other, and each gets words of its own."""
    body = job_body(project_id="x", maxAttempts=0, assetId="a|b")
    answer = await edge.client.post(JOBS, json=body)
    found = {each["pointer"]: each["detail"] for each in answer.json()["errors"]}
    assert set(found) == {"/project_id", "/maxAttempts", "/assetId"}
    assert "did you mean" not in found["/maxAttempts"] + found["/assetId"]


async def test_a_tick_that_nobody_may_start(sqlite_url: str) -> None:
    """The answer names the variable."""
    async with serving(sqlite_url, cron_secret=None) as api:
        answer = await api.stranger().post("/cron/tick")
    assert (answer.status_code, answer.json()["code"]) == (503, "cron_disabled")
    assert "CRON_SECRET is not set" in answer.json()["detail"]


COMMANDS: Final[Mapping[str, tuple[tuple[str, ...], int, str]]] = {
    "a key that never was": (("keys", "revoke", "x"), 1, "no key has this id"),
    "a bar in a project": (
        ("keys", "create", "--project", "a|b"),
        1,
        "must not contain '|'",
    ),
    "an unknown access": (
        ("keys", "create", "--access", "rw"),
        2,
        "is not one of 'read', 'write'",
    ),
    "an option with a typing error": (
        ("keys", "create", "--acces", "read"),
        2,
        "--access",
    ),
    "a command with a typing error": (("key", "list"), 2, "Did you mean 'keys'?"),
    "a job that never was": (("jobs", "why", "x"), 1, "There is no such thing"),
    "no id": (("jobs", "why"), 2, "Missing argument 'ID'"),
    "an unknown status": (
        ("jobs", "list", "--status", "pending"),
        2,
        "must be 'scheduled', 'processing'",
    ),
    "a date alone": (
        ("jobs", "list", "--scheduled-from", "2026-04-09"),
        2,
        "must be an RFC 3339 time with an offset",
    ),
    "a hold without a reason": (("hold",), 2, "Missing option '--reason'"),
    "nothing to release": (("release",), 1, "There is no such thing"),
    "an account's unknown status": (
        ("accounts", "list", "--status", "ok"),
        2,
        "one of active, reconnect_required",
    ),
}


@pytest.mark.parametrize(
    ("arguments", "code", "says"), COMMANDS.values(), ids=COMMANDS.keys()
)
async def test_a_command_with_a_mistake(
    sqlite_url: str, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Exit code 1 or 2, nothing on standard output, and what to do on the other."""
    programs = Programs(tmp_path, {"DATABASE_URL": sqlite_url, "NO_COLOR": "1"})
    try:
        ended = await programs.run(*arguments)
    finally:
        await programs.close()
    assert (ended.code, ended.out) == (code, "")
    assert says in _unboxed(ended.err)


def _unboxed(text: str) -> str:
    """Take away the frame around a text, and its line breaks."""
    return " ".join(text.replace("│", " ").split())


SETTINGS: Final[Mapping[str, tuple[Mapping[str, str], str]]] = {
    "text for a number": (
        {"MAX_ATTEMPTS": "five"},
        "MAX_ATTEMPTS: must be a valid integer",
    ),
    "too few": ({"MAX_ATTEMPTS": "0"}, "MAX_ATTEMPTS: must be greater than or equal"),
    "an unknown choice": (
        {"RUNNER": "both"},
        "RUNNER: must be 'embedded' or 'cron'",
    ),
    "no yes or no": (
        {"ALLOW_PRIVATE_URLS": "maybe"},
        "ALLOW_PRIVATE_URLS: must be a valid boolean",
    ),
    "another separator": (
        {"BACKOFF_SECONDS": "30;60"},
        "BACKOFF_SECONDS: must be a valid number",
    ),
    "an origin with a path": (
        {"CORS_ORIGINS": "https://app.example.com/app"},
        "CORS_ORIGINS: each is a scheme and a host, as in https://app.example.com",
    ),
    "an origin without a scheme": (
        {"CORS_ORIGINS": "app.example.com"},
        "CORS_ORIGINS: each is a scheme and a host, as in https://app.example.com",
    ),
    "a secret that no header carries": (
        {"CRON_SECRET": "two words"},
        "CRON_SECRET: must be visible ASCII",
    ),
    "a URL without a scheme": (
        {"TIKTOK_API_BASE_URL": "open.tiktokapis.com"},
        "TIKTOK_API_BASE_URL: must be a valid URL",
    ),
    "a claim shorter than its polls": (
        {"CLAIM_TIMEOUT_SECONDS": "60"},
        "CLAIM_TIMEOUT_SECONDS must be greater than POLL_DEADLINE_SECONDS",
    ),
    "a variable that nothing replaces": (
        {"DATABASE_URL": "postgres://me:${PASSWORD}@db/jobs"},
        "DATABASE_URL: ${…} is not replaced here",
    ),
    "a secret set twice": (
        {"CRON_SECRET": "one", "CRON_SECRET_FILE": "/run/secrets/cron"},
        "CRON_SECRET: set twice, by CRON_SECRET_FILE too",
    ),
}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Keep the developer's own variables out."""
    for name in os.environ:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(("given", "says"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_setting_with_a_mistake(
    bare: pytest.MonkeyPatch, given: Mapping[str, str], says: str
) -> None:
    """One line that names the variable and says what it may be."""
    for name, value in given.items():
        bare.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load(_env_file=None)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("POLL_INTERVAL", "POLL_INTERVAL_SECONDS"),
        ("CRON_SECRETS", "CRON_SECRET"),
        ("TIKTOK_REDIRECT_URL", "TIKTOK_REDIRECT_URI"),
        ("TOKEN_ENCRYPTION_KEY", "TOKEN_ENCRYPTION_KEYS"),
    ],
)
def test_a_variable_that_is_no_setting(
    bare: pytest.MonkeyPatch, tmp_path: Path, name: str, meant: str
) -> None:
    """It would be passed over; the start and `doctor` say which one was meant."""
    told = [f"{name} is no setting; did you mean {meant}?"]
    path = tmp_path / ".env"
    path.write_text(f"{name}=1\n")
    assert misspelt_settings(path) == told
    bare.setenv(name, "1")
    assert misspelt_settings(None) == told


def test_a_machines_own_variables_are_no_mistakes(bare: pytest.MonkeyPatch) -> None:
    """Others use words of ours, too."""
    for name in ("RUNNER_OS", "RUNNER_TEMP", "LOG_DIR", "DATABASE_HOST", "HOST"):
        bare.setenv(name, "x")
    assert misspelt_settings(None) == []


DATABASES: Final[Mapping[str, tuple[str, str]]] = {
    "another database": ("mysql://u:p@db/x", "only SQLite and Postgres are supported"),
    "a path": ("/var/lib/scheduler.db", "not a database URL"),
    "a folder that is not there": (
        "sqlite:////nowhere/x.db",
        "the file's folder is not there",
    ),
    "a port where nobody listens": (
        "postgres://u:p@127.0.0.1:9/x",
        "Connect call failed",
    ),
    "a host that is not known": (
        "postgres://u:p@nowhere.invalid/x",
        "the host's name is not known",
    ),
}


@pytest.mark.parametrize(("url", "says"), DATABASES.values(), ids=DATABASES.keys())
async def test_a_database_that_cannot_be_used(
    tmp_path: Path, url: str, says: str
) -> None:
    """One line that names DATABASE_URL and what the other side said."""
    programs = Programs(tmp_path, {"DATABASE_URL": url})
    try:
        ended = await programs.run("migrate")
    finally:
        await programs.close()
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "DATABASE_URL" in ended.err
    assert says in ended.err
