"""Tokens at rest."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.domain.errors import TokenUnreadable
from app.store.db.vault import KeysUnusable, Vault

OLD, NEW = b"o" * 32, b"n" * 32
POSTGRES = "postgresql://user:password@db.example.com/scheduler"


def _fernet(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def _sqlite(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/scheduler.db"


def test_what_was_encrypted_comes_back() -> None:
    """The same cell opens it, whatever the text holds."""
    vault = Vault([NEW])
    for text in ("act.secret", "", "*v!4321.s1 ü 🎬"):
        assert vault.decrypt(vault.encrypt(text, bound_to="a"), bound_to="a") == text


def test_a_ciphertext_says_nothing_and_never_twice_the_same() -> None:
    """Each encryption has a nonce of its own, and the text form names form and key."""
    vault = Vault([NEW])
    one, two = (vault.encrypt("act.secret", bound_to="a") for _ in range(2))
    assert one != two
    form, key_id, payload = one.split(".")
    assert form == "v1"
    assert len(key_id) == 8
    assert b"act.secret" not in base64.urlsafe_b64decode(payload)


@pytest.mark.parametrize(
    "other", ["proj_2|tiktok|access_token", "proj_1|tiktok|refresh_token"]
)
def test_a_ciphertext_opens_nowhere_but_in_its_own_cell(other: str) -> None:
    """Neither another row nor another column can be handed someone's token."""
    vault = Vault([NEW])
    sealed = vault.encrypt("act.secret", bound_to="proj_1|tiktok|access_token")
    with pytest.raises(TokenUnreadable):
        vault.decrypt(sealed, bound_to=other)


def test_every_key_decrypts_and_the_first_encrypts() -> None:
    """After a rotation old rows still open, and new ones need the new key alone."""
    old = Vault([OLD]).encrypt("act.secret", bound_to="a")
    both = Vault([NEW, OLD])
    assert both.decrypt(old, bound_to="a") == "act.secret"
    assert not both.is_current(old)
    new = both.encrypt("act.secret", bound_to="a")
    assert both.is_current(new)
    assert Vault([NEW]).decrypt(new, bound_to="a") == "act.secret"
    with pytest.raises(TokenUnreadable):
        Vault([OLD]).decrypt(new, bound_to="a")


def test_a_text_that_is_no_ciphertext_is_unreadable() -> None:
    """Whatever stands in the column, the answer is the one error, never another."""
    vault = Vault([NEW])
    head = vault.encrypt("x", bound_to="a").rpartition(".")[0]
    sealed = vault.encrypt("x", bound_to="a")
    for text in (
        "",
        "act.plain",
        "v1",
        "v1..",
        f"{head}.",
        f"{head}.AAAA",
        f"{head}.ä!",
        sealed[:-4],
        sealed.replace("v1", "v2"),
    ):
        with pytest.raises(TokenUnreadable):
            vault.decrypt(text, bound_to="a")


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        _fernet(b"short"),
        _fernet(b"x" * 33),
        "ü" * 44,
        f"{_fernet(NEW)},hunter2",
        ",",
    ],
)
def test_a_malformed_key_is_refused_without_being_shown(text: str) -> None:
    """The error names the variable and, of several, which key; never its text."""
    with pytest.raises(KeysUnusable, match="TOKEN_ENCRYPTION_KEYS") as caught:
        Vault.from_settings(text, database_url=POSTGRES)
    for secret in ("hunter2", _fernet(b"short"), _fernet(NEW)[:10], "üü"):
        assert secret not in repr(caught.value)


def test_keys_come_from_the_setting_in_its_order(tmp_path: Path) -> None:
    """A comma list in Fernet's form: the first encrypts; no file is made then."""
    keys = f" {_fernet(NEW)} , {_fernet(OLD)}"
    vault = Vault.from_settings(keys, database_url=_sqlite(tmp_path))
    assert Vault([NEW]).is_current(vault.encrypt("x", bound_to="a"))
    assert vault.decrypt(Vault([OLD]).encrypt("x", bound_to="a"), bound_to="a") == "x"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unset", [None, "", "  "])
def test_postgres_needs_keys(unset: str | None) -> None:
    """Without keys the start fails naming the variable, not the database's address."""
    with pytest.raises(KeysUnusable, match="TOKEN_ENCRYPTION_KEYS") as caught:
        Vault.from_settings(unset, database_url=POSTGRES)
    assert "password" not in str(caught.value)


def test_sqlite_gets_a_key_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    """It lies beside the database, is made once and read from then on."""
    first = Vault.from_settings(None, database_url=_sqlite(tmp_path))
    (file,) = tmp_path.iterdir()
    assert file.name == "scheduler.db.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = Vault.from_settings(None, database_url=_sqlite(tmp_path))
    assert again.decrypt(first.encrypt("x", bound_to="a"), bound_to="a") == "x"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
def test_a_key_file_that_others_can_read_stops_the_start(
    tmp_path: Path, mode: int
) -> None:
    """One line names the file and what to do; the key stays as it is."""
    Vault.from_settings(None, database_url=_sqlite(tmp_path))
    file = tmp_path / "scheduler.db.key"
    file.chmod(mode)
    with pytest.raises(
        KeysUnusable, match=r"others .*db\.key; run chmod 600"
    ) as caught:
        Vault.from_settings(None, database_url=_sqlite(tmp_path))
    assert "\n" not in str(caught.value)
    assert file.read_text().strip() not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o660])
def test_a_group_may_share_a_key_file(tmp_path: Path, mode: int) -> None:
    """Kubernetes lends volumes to processes by their group."""
    Vault.from_settings(None, database_url=_sqlite(tmp_path))
    (tmp_path / "scheduler.db.key").chmod(mode)
    Vault.from_settings(None, database_url=_sqlite(tmp_path))


@pytest.mark.parametrize("content", ["", "\n", "hunter2\n", "\xff"])
def test_a_key_file_that_is_broken_is_never_replaced(
    tmp_path: Path, content: str
) -> None:
    """Another key could read no token: the start fails, naming the file."""
    file = tmp_path / "scheduler.db.key"
    file.touch(mode=0o600)
    file.write_text(content, encoding="latin-1")
    with pytest.raises(KeysUnusable, match=r"scheduler\.db\.key") as caught:
        Vault.from_settings(None, database_url=_sqlite(tmp_path))
    assert "hunter2" not in str(caught.value)
    assert file.read_text(encoding="latin-1") == content


def test_a_folder_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    """The operator learns both: the file that failed and the variable that helps."""
    missing = _sqlite(tmp_path / "missing")
    with pytest.raises(KeysUnusable, match=r"TOKEN_ENCRYPTION_KEYS.*db\.key"):
        Vault.from_settings(None, database_url=missing)


@pytest.mark.parametrize("_round", range(10))
def test_processes_that_start_together_make_one_key(
    tmp_path: Path, _round: int
) -> None:
    """All of them end up with the same key, and no draft stays behind."""
    together = Barrier(8)

    def start(_number: int) -> str:
        together.wait()
        vault = Vault.from_settings(None, database_url=_sqlite(tmp_path))
        return vault.encrypt("x", bound_to="a")

    with ThreadPoolExecutor(8) as threads:
        sealed = list(threads.map(start, range(8)))
    vault = Vault.from_settings(None, database_url=_sqlite(tmp_path))
    assert [vault.decrypt(each, bound_to="a") for each in sealed] == ["x"] * 8
    assert [file.name for file in tmp_path.iterdir()] == ["scheduler.db.key"]
