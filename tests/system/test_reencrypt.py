"""Keys are changed while the service keeps its accounts."""

import json

from app.store.accounts import AccountStore
from app.store.engine import Database
from app.store.vault import Vault
from tests.support.accounts import NAME, NOW, new_account, new_grant
from tests.system.programs import Programs

OLD, NEW, LOST = ("A" * 43 + "=", "B" * 42 + "A=", "C" * 42 + "A=")


async def test_after_reencrypt_the_old_key_can_go(
    programs: Programs, database_url: str
) -> None:
    """The new key alone opens every token; what no key opens is counted."""
    database = Database(database_url)
    for keys, project in ((OLD, "proj_1"), (NEW, "proj_2"), (LOST, "proj_3")):
        store = AccountStore(database, _vault(keys, database_url))
        await store.put(new_account(new_grant(), project_id=project), now=NOW)
    programs.env |= {
        "DATABASE_URL": database_url,
        "TOKEN_ENCRYPTION_KEYS": f"{NEW},{OLD}",
    }
    ended = await programs.run("accounts", "reencrypt")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {"accounts": 1, "unreadable": 1}
    account = await AccountStore(database, _vault(NEW, database_url)).get(*NAME)
    assert account.grant == new_grant()
    await database.close()


def _vault(keys: str, database_url: str) -> Vault:
    return Vault.from_settings(keys, database_url=database_url)
