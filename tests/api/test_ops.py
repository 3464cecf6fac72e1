"""/healthz and /readyz."""

import asyncio

import pytest
from sqlalchemy import text

from app.main import create_app
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from tests.api.serving import Api, client_of, serving, settings_of
from tests.support.postgres import PostgresServer


async def test_a_good_start_is_alive_and_ready(api: Api) -> None:
    """Both answer 200 without a key."""
    async with api.stranger() as probe:
        for path in ("/healthz", "/readyz"):
            response = await probe.get(path)
            assert (response.status_code, response.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_a_probe_may_ask_for_the_head_alone(edge: Api, path: str) -> None:
    """Whatever a GET is answered, a HEAD is too; other routes know no HEAD."""
    async with edge.stranger() as probe:
        asked = [await probe.request(each, path) for each in ("GET", "HEAD")]
        assert [each.status_code for each in asked] == [200, 200]
        assert asked[0].headers["content-type"] == asked[1].headers["content-type"]
        assert (await probe.head("/cron/tick")).status_code == 405


async def test_readyz_tells_of_every_part(api: Api) -> None:
    """What is fine is said too; jobs are run elsewhere than in this process."""
    async with api.stranger() as probe:
        checks = (await probe.get("/readyz")).json()["checks"]
    # The app's clock stands in another year than Postgres'; SQLite has no other one.
    assert checks.pop("clock") == ("ok" if api.database.is_sqlite else "skewed")
    assert checks == {
        "database": "ok",
        "migrations": "ok",
        "keys": "ok",
        "commits": "local",
        "failover": "ok",
        "runner": "elsewhere",
    }


async def test_keys_that_open_no_token_are_told_of(database_url: str) -> None:
    """A lost key is found out before the next post is due; all else works on."""
    async with serving(database_url) as api:
        stored = await api.client.put(
            "/v1/projects/proj_1/accounts/tiktok",
            json={
                "openId": "open_1",
                "accessToken": "act.one",
                "refreshToken": "rft.one",
                "expiresIn": 7200,
                "refreshExpiresIn": 15_552_000,
                "scope": "video.publish",
            },
        )
        assert stored.status_code == 201
    other_key = "A" * 43 + "="
    async with serving(database_url, token_encryption_keys=other_key) as api:
        response = await api.stranger().get("/readyz")
    assert response.status_code == 200
    assert response.json()["checks"]["keys"] == "unreadable"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tiktok_scheduler_version SET version_num = '0000'",
        "DROP TABLE tiktok_scheduler_version",
    ],
)
async def test_a_database_that_is_not_migrated_is_not_ready(
    api: Api, damage: str
) -> None:
    """Another revision than ours, or none: alive, but 503 not ready."""
    async with api.database.write() as connection:
        await connection.execute(text(damage))
    async with api.stranger() as probe:
        assert (await probe.get("/healthz")).status_code == 200
        response = await probe.get("/readyz")
        while response.json()["code"] == "database_unavailable":  # a busy machine
            response = await probe.get("/readyz")
    assert response.status_code == 503
    assert response.json()["code"] == "database_not_migrated"
    assert response.json()["checks"]["migrations"] == "not_migrated"
    assert "migrate" in response.json()["detail"]


async def test_sqlite_is_migrated_at_the_start(tmp_path: object) -> None:
    """A new file needs no command: the service brings it up to date by itself."""
    async with serving(f"sqlite+aiosqlite:///{tmp_path}/new.db") as api:
        assert (await api.client.get("/readyz")).status_code == 200
        assert (await api.post_job()).status_code == 201


async def test_postgres_is_not_migrated_behind_anybodys_back(
    postgres_url: str,
) -> None:
    """On Postgres migrations are a step of their own: until then 503."""
    database = Database(postgres_url)
    async with database.write() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await database.close()

    app = create_app(settings_of(postgres_url))
    async with app.router.lifespan_context(app), client_of(app, None) as probe:
        assert (await probe.get("/healthz")).status_code == 200
        response = await probe.get("/readyz")
    assert response.json()["code"] == "database_not_migrated"


async def test_a_lost_database_is_said_and_gets_better(
    postgres_server: PostgresServer,
) -> None:
    """Without its database: alive, 503 everywhere else, and well when it is back."""
    await asyncio.to_thread(upgrade, postgres_server.url)
    async with serving(postgres_server.url) as api:
        job = await api.job()
        postgres_server.stop()
        assert (await api.client.get("/healthz")).status_code == 200
        ready = await api.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["code"] == "database_unavailable"
        assert ready.json()["checks"]["database"] == "unavailable"
        assert ready.json()["checks"]["keys"] == "unknown"
        api.clock.forward(seconds=5)  # the key has to be looked up again
        for response in (
            await api.client.get("/v1/jobs"),
            await api.post_job(assetId="b"),
            await api.client.get(f"/v1/jobs/{job['id']}"),
        ):
            assert response.status_code == 503
            assert response.json()["code"] == "database_unavailable"
            assert int(response.headers["retry-after"]) > 0
            assert "postgres" not in response.text
        postgres_server.start()
        assert (await api.client.get("/readyz")).status_code == 200
        assert (await api.client.get(f"/v1/jobs/{job['id']}")).json() == job
