"""API keys: shown once, kept as hashes, honoured only while they hold."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.domain.errors import InvalidInput, NotFound
from app.service.keys import TRUST, KeyService, is_mistyped
from app.store.api_keys import KeyStore
from app.store.db.engine import Database
from tests.api.serving import StandingClock


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give a connection to a fresh database."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> StandingClock:
    """Give the clock that all processes share."""
    return StandingClock()


@pytest.fixture
def keys(database: Database, clock: StandingClock) -> KeyService:
    """Give one process's keys."""
    return KeyService(store=KeyStore(database), clock=clock)


async def test_a_secret_leads_to_its_key(keys: KeyService) -> None:
    """Who holds the secret is recognised, with the project it is bound to."""
    key, secret = await keys.create("laptop", "proj_1")
    assert (key.name, key.project_id, key.revoked_at) == ("laptop", "proj_1", None)
    assert await keys.authenticate(secret) == key
    assert await keys.authenticate(secret) == key


async def test_a_secret_is_256_random_bits(keys: KeyService) -> None:
    """Secrets are url-safe, start with tts_ and never repeat."""
    secrets = {(await keys.create("", None))[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith("tts_") for secret in secrets)
    assert all(len(secret) == 4 + 43 + 6 for secret in secrets)


async def test_no_secret_is_stored(keys: KeyService, database: Database) -> None:
    """The database holds a hash, from which no secret can be had."""
    _, secret = await keys.create("laptop", None)
    async with database.read() as connection:
        rows = (await connection.execute(text("SELECT * FROM api_keys"))).all()
    assert len(rows) == 1
    assert secret not in str(rows)
    assert secret.removeprefix("tts_") not in str(rows)


@pytest.mark.parametrize(
    "secret", ["", "tts_", "tts_guess", "Bearer", "tts_\ud800", "tts_é", "x" * 100_000]
)
async def test_a_guess_is_nobody(keys: KeyService, secret: str) -> None:
    """What is no secret of ours is refused, whatever it is made of."""
    await keys.create("laptop", None)
    assert await keys.authenticate(secret) is None


async def test_a_secret_counts_to_its_last_letter(keys: KeyService) -> None:
    """Almost right is wrong."""
    _, secret = await keys.create("laptop", None)
    assert await keys.authenticate(secret[:-1]) is None
    assert await keys.authenticate(secret + "a") is None
    assert await keys.authenticate(secret.swapcase()) is None


async def test_a_revoked_key_is_dead_here_at_once(keys: KeyService) -> None:
    """The process that revokes trusts the key no second longer."""
    key, secret = await keys.create("laptop", None)
    assert await keys.authenticate(secret)
    revoked = await keys.revoke(key.id)
    assert revoked.revoked_at is not None
    assert await keys.authenticate(secret) is None


async def test_a_key_revoked_elsewhere_is_dead_within_seconds(
    keys: KeyService, database: Database, clock: StandingClock
) -> None:
    """Another process goes on trusting it for five seconds at the most."""
    elsewhere = KeyService(store=KeyStore(database), clock=clock)
    key, secret = await keys.create("laptop", None)
    assert await elsewhere.authenticate(secret) == key
    await keys.revoke(key.id)

    assert TRUST.total_seconds() <= 5
    clock.forward(seconds=TRUST.total_seconds() - 0.001)
    assert await elsewhere.authenticate(secret) == key
    clock.forward(seconds=0.001)
    assert await elsewhere.authenticate(secret) is None


async def test_a_key_in_use_is_not_looked_up_each_time(
    keys: KeyService, database: Database
) -> None:
    """A trusted key costs no query: it opens even while the table is away."""
    key, secret = await keys.create("laptop", None)
    await keys.authenticate(secret)
    async with database.write() as connection:
        await connection.execute(text("DROP TABLE api_keys"))
    assert await keys.authenticate(secret) == key


async def test_a_new_key_works_at_once(keys: KeyService) -> None:
    """That a secret was unknown a moment ago is not remembered."""
    elsewhere = KeyService(
        store=keys.store, clock=keys.clock, make_secret=lambda: "tts_agreed"
    )
    assert await keys.authenticate("tts_agreed") is None
    await elsewhere.create("laptop", None)
    assert await keys.authenticate("tts_agreed") is not None


async def test_revoking_twice_keeps_the_first_time(
    keys: KeyService, clock: StandingClock
) -> None:
    """When a key was revoked does not change afterwards."""
    key, _ = await keys.create("laptop", None)
    first = await keys.revoke(key.id)
    clock.forward(hours=1)
    assert await keys.revoke(key.id) == first


async def test_an_unknown_key_cannot_be_revoked(keys: KeyService) -> None:
    """A wrong id is said to be wrong."""
    with pytest.raises(NotFound):
        await keys.revoke("nothing")


async def test_the_list_shows_all_keys_and_no_secret(
    keys: KeyService, clock: StandingClock
) -> None:
    """Oldest first, the revoked ones too."""
    first, _ = await keys.create("first", None)
    clock.forward(seconds=1)
    second, secret = await keys.create("second", "proj_1")
    revoked = await keys.revoke(first.id)

    assert await keys.list() == (revoked, second)
    assert secret not in repr(await keys.list())


@pytest.mark.parametrize(
    ("name", "project_id"),
    [("a" * 201, None), ("a\nb", None), ("", ""), ("", "a|b"), ("", "a\0")],
)
async def test_a_key_has_a_printable_name_and_a_possible_project(
    keys: KeyService, name: str, project_id: str | None
) -> None:
    """A project that no job can have is a typing error, and said so."""
    with pytest.raises(InvalidInput):
        await keys.create(name, project_id)


async def test_a_mistyped_key_is_refused_without_a_query(
    keys: KeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong checksum is told without the database, which may be away."""
    _, secret = await keys.create("laptop", None)

    async def find(_store: KeyStore, _digest: str) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(KeyStore, "find", find)
    wrong = secret[:20] + ("x" if secret[20] != "x" else "y") + secret[21:]
    assert is_mistyped(wrong)
    assert not is_mistyped(secret)
    assert await keys.authenticate(wrong) is None
    with pytest.raises(AssertionError):
        await keys.authenticate(secret)


async def test_a_key_ends_at_its_time(keys: KeyService, clock: StandingClock) -> None:
    """Good until then, and worthless from then on, trusted or not."""
    key, secret = await keys.create("intern", None, expires_in=timedelta(days=2))
    assert key.expires_at == clock.now() + timedelta(days=2)
    clock.forward(days=2, seconds=-1)
    assert await keys.authenticate(secret) is not None
    clock.forward(seconds=1)
    assert await keys.authenticate(secret) is None
    clock.forward(seconds=60)
    assert await keys.authenticate(secret) is None


async def test_the_last_use_is_noted_once_a_minute(
    keys: KeyService, clock: StandingClock, database: Database
) -> None:
    """The first use is written at once, the next after a minute."""
    _, secret = await keys.create("laptop", None)
    first = clock.now()
    await keys.authenticate(secret)
    clock.forward(seconds=30)
    await keys.authenticate(secret)
    await database.close()  # waits for what is being written
    [key] = await KeyStore(database).list()
    assert key.last_used_at == first
    clock.forward(seconds=31)
    await keys.authenticate(secret)
    await database.close()
    [key] = await KeyStore(database).list()
    assert key.last_used_at == clock.now()
