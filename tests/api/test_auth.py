"""Bearer keys: who gets in, and for how long."""

import asyncio
from datetime import timedelta

import httpx

from app.domain.api_key import ApiKey, KeyAccess
from app.service.caller_limits import FREE, WAITING_EACH
from app.use_cases import UseCases
from tests.api.serving import CRON_SECRET, Api, client_of, job_body, serving
from tests.support.patience import PATIENCE_SECONDS


async def test_nothing_under_v1_opens_without_a_key(api: Api) -> None:
    """No key, a wrong one, or another scheme: 401 with WWW-Authenticate: Bearer."""
    secret = api.client.headers["authorization"].removeprefix("Bearer ")
    for value in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer tts_guessed",
        "Bearer " + "x" * 5000,
        f"Basic {secret}",
        f"Token {secret}",
        secret,
        f"Bearer {secret}x",
        f"Bearer {secret[:-1]}",
        f"Bearer {CRON_SECRET}",
        "Bearer tts_\xe4",
    ):
        headers = {} if value is None else {b"Authorization": value.encode("latin-1")}
        async with api.stranger() as stranger:
            response = await stranger.get("/v1/jobs", headers=headers)
        assert_refused(response)


async def test_every_path_under_v1_is_behind_the_wall(edge: Api) -> None:
    """Known or unknown, whatever the method and the body: first the key."""
    job_id = (await edge.job())["id"]
    async with edge.stranger() as stranger:
        for method, path in (
            ("GET", "/v1"),
            ("GET", "/v1/"),
            ("GET", "/v1/nothing"),
            ("PUT", "/v1/jobs"),
            ("POST", "/v1/jobs"),
            ("GET", f"/v1/jobs/{job_id}"),
            ("PATCH", f"/v1/jobs/{job_id}"),
            ("DELETE", f"/v1/jobs/{job_id}"),
            ("POST", f"/v1/jobs/{job_id}/retry"),
            ("GET", f"/v1/jobs/{job_id}/attempts"),
            ("GET", "/%76%31/jobs"),
            ("GET", "/v1/projects/p/accounts/tiktok"),
        ):
            assert_refused(await stranger.request(method, path, content=b"{"))


async def test_the_scheme_is_written_as_one_likes(edge: Api) -> None:
    """HTTP's schemes know no case (RFC 9110, 11.1)."""
    secret = edge.client.headers["authorization"].removeprefix("Bearer ")
    async with edge.stranger(Authorization=f"bearer  {secret} ") as caller:
        assert (await caller.get("/v1/jobs")).status_code == 200


async def test_a_revoked_key_is_worthless_within_seconds(
    api: Api, database_url: str
) -> None:
    """Revoked in another process, a key opens nothing after five seconds."""
    key, secret = await api.services.keys.create("laptop", "proj_1")
    async with client_of(api.app, secret) as caller:
        assert (await caller.get("/v1/jobs")).status_code == 200
        await revoke_elsewhere(database_url, key)
        api.clock.forward(seconds=5)
        assert_refused(await caller.get("/v1/jobs"))


async def test_a_key_revoked_here_is_worthless_at_once(api: Api) -> None:
    """This process does not go on trusting what it revoked itself."""
    key, secret = await api.services.keys.create("laptop", None)
    async with client_of(api.app, secret) as caller:
        assert (await caller.post("/v1/jobs", json=job_body())).status_code == 201
        await api.services.keys.revoke(key.id)
        assert_refused(await caller.get("/v1/jobs"))


async def revoke_elsewhere(database_url: str, key: ApiKey) -> None:
    """Revoke a key as another process would."""
    from app.store.api_keys import KeyStore
    from app.store.db.engine import Database
    from tests.support.factories import NOW

    database = Database(database_url)
    await KeyStore(database).revoke(key.id, now=NOW)
    await database.close()


def assert_refused(response: httpx.Response) -> None:
    """Expect a 401 that says how to do better, and nothing else."""
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthorized"


async def test_a_read_key_changes_nothing(sqlite_url: str) -> None:
    """403 for whatever changes something, connecting too; reading works."""
    async with serving(sqlite_url) as api:
        services: UseCases = api.app.state.services
        _, secret = await services.keys.create("reader", None, access=KeyAccess.READ)
        async with client_of(api.app, secret) as reader:
            assert (await reader.get("/v1/jobs")).status_code == 200
            for method, path in (
                ("POST", "/v1/jobs"),
                ("POST", "/v1/projects/p/accounts/tiktok/connect"),
                ("DELETE", "/v1/projects/p/accounts/tiktok"),
                ("PUT", "/v1/hold"),
            ):
                answer = await reader.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (
                    403,
                    "read_only_key",
                )


async def test_an_expired_key_is_no_key(sqlite_url: str) -> None:
    """401, as for one that never was."""
    async with serving(sqlite_url) as api:
        services: UseCases = api.app.state.services
        _, secret = await services.keys.create(
            "intern", None, expires_in=timedelta(seconds=1)
        )
        async with client_of(api.app, secret) as intern:
            assert (await intern.get("/v1/jobs")).status_code == 200
            api.clock.forward(seconds=1)
            answer = await intern.get("/v1/jobs")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_that_asks_too_much_waits(sqlite_url: str) -> None:
    """429 with the seconds to wait; another key and the probes go on."""
    async with serving(sqlite_url, rate_limit_per_minute=3) as api:
        services: UseCases = api.app.state.services
        for _ in range(3):
            assert (await api.client.get("/v1/jobs")).status_code == 200
        answer = await api.client.get("/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        _, other = await services.keys.create("other", None)
        async with client_of(api.app, other) as caller:
            assert (await caller.get("/v1/jobs")).status_code == 200
        for _ in range(10):
            assert (await api.client.get("/healthz")).status_code == 200


async def test_wrong_keys_are_answered_late_and_always_401(sqlite_url: str) -> None:
    """Per peer; a good key and a request without one never wait."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with serving(sqlite_url) as api:
        api.clock.sleep = sleep  # type: ignore[method-assign]
        async with api.stranger(Authorization="Bearer tts_guessed") as guesser:
            for _ in range(FREE):
                assert_refused(await guesser.get("/v1/jobs"))
            assert slept == []
            assert_refused(await guesser.post("/v1/jobs", content=b"{"))
            cron = await guesser.post("/cron/tick")
            assert (cron.status_code, len(slept)) == (401, 2)
            stream = "/v1/jobs/stream?token=ttb_guessed"
            assert_refused(await guesser.get(stream, headers={"Authorization": ""}))
            assert len(slept) == 3
            assert (await guesser.get("/healthz")).status_code == 200
        async with api.stranger() as nobody:
            assert_refused(await nobody.get("/v1/jobs"))
        assert (await api.client.get("/v1/jobs")).status_code == 200
        assert len(slept) == 3


async def test_too_many_waiting_guesses_are_hung_up_on(sqlite_url: str) -> None:
    """Each keeps a connection: the next ones get their 401 at once, and an end."""
    gate, asleep = asyncio.Event(), 0

    async def sleep(_: float) -> None:
        nonlocal asleep
        asleep += 1
        await gate.wait()

    async with serving(sqlite_url) as api:
        api.clock.sleep = sleep  # type: ignore[assignment,method-assign]
        async with api.stranger(Authorization="Bearer tts_guessed") as guesser:
            for _ in range(FREE):
                await guesser.get("/v1/jobs")
            waiting = [
                asyncio.create_task(guesser.get("/v1/jobs"))
                for _ in range(WAITING_EACH)
            ]
            async with asyncio.timeout(PATIENCE_SECONDS):
                while asleep < WAITING_EACH:  # noqa: ASYNC110 - seen from outside
                    await asyncio.sleep(0)
                answer = await guesser.get("/v1/jobs")
            assert_refused(answer)
            assert answer.headers["connection"] == "close"
            gate.set()
            for each in await asyncio.gather(*waiting):
                assert_refused(each)
