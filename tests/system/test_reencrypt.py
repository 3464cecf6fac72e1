"""Keys are changed while the service keeps its accounts."""

import json

from app.domain.webhook_endpoint import secret_text
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.webhooks.endpoints import WebhookStore
from tests.support.accounts import NAME, NOW, new_account, new_grant
from tests.system.programs import Programs

OLD, NEW, LOST = ("A" * 43 + "=", "B" * 42 + "A=", "C" * 42 + "A=")


async def test_after_reencrypt_the_old_key_can_go(
    programs: Programs, database_url: str
) -> None:
    """The new key alone opens every secret; what no key opens is counted."""
    database = Database(database_url)
    for keys, project in ((OLD, "proj_1"), (NEW, "proj_2"), (LOST, "proj_3")):
        store = AccountStore(database, _vault(keys, database_url))
        await store.put(new_account(new_grant(), project_id=project), now=NOW)
        await _put(WebhookStore(database, _vault(keys, database_url)), project)
    programs.env |= {
        "DATABASE_URL": database_url,
        "TOKEN_ENCRYPTION_KEYS": f"{NEW},{OLD}",
    }
    ended = await programs.run("accounts", "reencrypt")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {
        "accounts": 1,
        "unreadable": 1,
        "webhooks": 1,
        "unreadable_webhooks": 1,
    }
    account = await AccountStore(database, _vault(NEW, database_url)).get(*NAME)
    assert account.grant == new_grant()
    webhooks = WebhookStore(database, _vault(NEW, database_url))
    endpoint = await webhooks.get("proj_1", now=NOW)
    assert endpoint.secrets == (secret_text(b"2" * 32), secret_text(b"1" * 32))
    await database.close()


async def _put(webhooks: WebhookStore, project: str) -> None:
    for key in (b"1" * 32, b"2" * 32):
        secret = secret_text(key)
        url = "https://app.example.com/hook"
        await webhooks.put(project, url=url, secret=secret, fresh=secret, now=NOW)


def _vault(keys: str, database_url: str) -> Vault:
    return Vault.from_settings(keys, database_url=database_url)
