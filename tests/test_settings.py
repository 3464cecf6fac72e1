"""Settings whose spelling is their own, and the files that they come from."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load


def preflight_times(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[timedelta, ...]:
    """Read READINESS_MINUTES from the environment."""
    monkeypatch.setenv("READINESS_MINUTES", text)
    return load(_env_file=None).preflight_times


def test_looks_ahead_are_a_list_of_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the operator wants."""
    minutes = (timedelta(minutes=120), timedelta(minutes=5))
    assert preflight_times("120, 5", monkeypatch) == minutes


def test_looks_ahead_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a word: an empty variable counts as unset, and means the default."""
    assert preflight_times("off", monkeypatch) == ()
    assert (
        preflight_times("", monkeypatch)
        == Settings(_env_file=None).preflight_times
        != ()
    )


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "soon", "60,never", "10081"])
def test_what_is_no_minute_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name; a look within a minute would come too late to be of use."""
    with pytest.raises(SettingsError, match="READINESS_MINUTES"):
        preflight_times(text, monkeypatch)


@pytest.mark.parametrize("text", ["a,b", "-1,soon,1"])
def test_a_wrong_list_is_named_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its parts are wrong, in whatever ways."""
    monkeypatch.setenv("BACKOFF_SECONDS", text)
    with pytest.raises(SettingsError) as refused:
        load(_env_file=None)
    assert str(refused.value).count("BACKOFF_SECONDS") == 1


SecretFile = Callable[[str | bytes], str]


@pytest.fixture
def secret_file(tmp_path: Path) -> SecretFile:
    """Write a file and return its path."""

    def write(content: str | bytes) -> str:
        path = tmp_path / "secret"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def from_file(path: Path, content: bytes) -> Settings:
    """Read the settings of a .env with these bytes."""
    path.write_bytes(content)
    return load(_env_file=path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_file_in_any_unicode_is_read(tmp_path: Path, encoding: str) -> None:
    """As Windows' editors and PowerShell save it."""
    text = "METRICS_HOST=münchen\r\nMAX_ATTEMPTS=7\r\n"
    bom = b"\xfe\xff" if encoding == "utf-16-be" else b""
    found = from_file(tmp_path / ".env", bom + text.encode(encoding))
    assert (found.metrics_host, found.max_attempts) == ("münchen", 7)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_a_file_in_an_unknown_encoding_is_one_line(
    tmp_path: Path, encoding: str
) -> None:
    """It names the line, and quotes nothing of it."""
    secret = "hütte" if encoding == "latin-1" else "hutte"
    content = f"MAX_ATTEMPTS=7\nCRON_SECRET={secret}\n".encode(encoding)
    with pytest.raises(SettingsError, match=r"^\.env: line [12] is not UTF-8") as told:
        from_file(tmp_path / ".env", content)
    assert "tte" not in str(told.value)


def test_a_folder_in_the_files_place_is_one_line(tmp_path: Path) -> None:
    """Docker makes one where a file to be mounted is missing."""
    folder = tmp_path / ".env"
    folder.mkdir()
    with pytest.raises(SettingsError, match=r"^\.env: Is a directory$"):
        load(_env_file=folder)


def test_no_file_at_all_is_fine(tmp_path: Path) -> None:
    """The environment is enough."""
    assert load(_env_file=tmp_path / ".env").max_attempts == 5


def test_a_line_that_is_none_is_refused_by_its_number(tmp_path: Path) -> None:
    """Skipping it would be a default in place of what was meant."""
    with pytest.raises(SettingsError, match=r"^\.env: line 2 is no NAME=value$"):
        from_file(tmp_path / ".env", b"MAX_ATTEMPTS=7\nCRON_SECRET='half\n")


@pytest.mark.parametrize("quotes", ["{}", '"{}"', "'{}'"])
def test_a_secret_means_itself(tmp_path: Path, quotes: str) -> None:
    """What looks like a variable may be part of it."""
    secret = "a${HOME}b$c"
    line = f"TIKTOK_CLIENT_SECRET={quotes.format(secret)}\n"
    found = from_file(tmp_path / ".env", line.encode())
    assert found.tiktok_client_secret is not None
    assert found.tiktok_client_secret.get_secret_value() == secret


def test_a_variable_in_the_databases_url_is_refused(tmp_path: Path) -> None:
    """It would not be replaced, and nobody could log in."""
    line = b"DATABASE_URL=postgres://me:${PASSWORD}@db/jobs\n"
    with pytest.raises(
        SettingsError, match=r"DATABASE_URL: .* is not replaced"
    ) as told:
        from_file(tmp_path / ".env", line)
    assert "PASSWORD" not in str(told.value)


@pytest.mark.parametrize("word", ["INFO", "Info", " info "])
def test_words_may_be_written_in_capitals(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other programs want them."""
    monkeypatch.setenv("LOG_LEVEL", word)
    assert load(_env_file=None).log_level == "info"


SECRETS = {
    "DATABASE_URL": "postgres://me:sesame@db/jobs",
    "CRON_SECRET": "s3cret",
    "TIKTOK_CLIENT_SECRET": "s3cret",
    "TOKEN_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(("name", "value"), SECRETS.items())
def test_every_secret_can_come_from_a_file(
    name: str,
    value: str,
    encoding: str,
    secret_file: SecretFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As container platforms mount them, or as an editor on Windows saves them."""
    content = f"{value}\n".encode(encoding)
    monkeypatch.setenv(f"{name}_FILE", f"{secret_file(content)}\n")
    found = getattr(load(_env_file=None), name.lower())
    assert found.get_secret_value() == value


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "is empty"), (b"\xe4\xff", "is no text")]
)
def test_a_secrets_file_that_cannot_be_read_is_one_line(
    content: bytes, says: str, secret_file: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variable's name."""
    monkeypatch.setenv("CRON_SECRET_FILE", secret_file(content))
    with pytest.raises(SettingsError, match=f"^CRON_SECRET_FILE: the file {says}"):
        load(_env_file=None)


def test_a_secrets_file_that_is_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the default in its place."""
    monkeypatch.setenv("CRON_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"^CRON_SECRET_FILE: No such file"):
        load(_env_file=None)


def test_a_secret_that_is_set_twice_is_refused(
    secret_file: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could tell which one is meant."""
    monkeypatch.setenv("CRON_SECRET", "one")
    monkeypatch.setenv("CRON_SECRET_FILE", secret_file("other"))
    with pytest.raises(SettingsError, match=r"^CRON_SECRET: set twice") as told:
        load(_env_file=None)
    assert "other" not in str(told.value)


def test_the_environment_goes_before_the_file_in_either_spelling(
    tmp_path: Path, secret_file: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform's secret replaces a line of .env."""
    monkeypatch.setenv("CRON_SECRET_FILE", secret_file("mounted"))
    found = from_file(tmp_path / ".env", b"CRON_SECRET=written\n")
    assert found.cron_secret is not None
    assert found.cron_secret.get_secret_value() == "mounted"


def test_values_are_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line's end that came along is no part of a secret."""
    monkeypatch.setenv("CRON_SECRET", " x\n")
    monkeypatch.setenv("METRICS_HOST", "0.0.0.0\r\n")
    found = load(_env_file=None)
    assert found.cron_secret is not None
    assert found.cron_secret.get_secret_value() == "x"
    assert found.metrics_host == "0.0.0.0"


@pytest.mark.parametrize("secret", ["two words", "hütte", "a\nb"])
def test_a_cron_secret_that_no_header_carries_is_refused(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call would be answered 401, and nobody would know why."""
    monkeypatch.setenv("CRON_SECRET", secret)
    with pytest.raises(SettingsError, match=r"^CRON_SECRET: must be visible") as told:
        load(_env_file=None)
    assert secret not in str(told.value)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com/app",
        "app.example.com",
        "https://*.example.com",
        "null",
        "https://app.example.com?x",
        "ftp://app.example.com",
        "https://me@app.example.com",
        "https://bücher.example.com",  # browsers send xn--bcher-kva.example.com
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would open nothing."""
    monkeypatch.setenv("CORS_ORIGINS", f"https://good.example.com,{origin}")
    with pytest.raises(SettingsError, match=r"^CORS_ORIGINS: each is a scheme"):
        load(_env_file=None)


def test_origins_are_written_as_browsers_send_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slash at the end, capitals and the usual port are people's."""
    origins = "https://App.example.com/, http://localhost:3000,http://[::1]:8080"
    more = "https://b.example.com:443,http://c.example.com:80/,http://d.example.com:443"
    monkeypatch.setenv("CORS_ORIGINS", f"{origins},{more}")
    assert load(_env_file=None).cors_origins == (
        "https://app.example.com",
        "http://localhost:3000",
        "http://[::1]:8080",
        "https://b.example.com",
        "http://c.example.com",
        "http://d.example.com:443",
    )


@pytest.mark.parametrize("name", ["WEBHOOK_RETRY_SECONDS", "BACKOFF_SECONDS"])
def test_a_step_fits_into_the_calendar(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try in the year 33,000 could not be written down."""
    monkeypatch.setenv(name, "5,1e12")
    with pytest.raises(SettingsError, match=rf"^{name}: "):
        load(_env_file=None)


@pytest.mark.parametrize("rest", ["?x=1", "/a#b"])
def test_what_paths_are_added_to_ends_with_a_path(
    rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TikTok would ask for no file of the gateway's."""
    monkeypatch.setenv("MEDIA_BASE_URL", f"https://media.example.com{rest}")
    with pytest.raises(SettingsError, match=r"^MEDIA_BASE_URL: must have no query"):
        load(_env_file=None)


@pytest.mark.parametrize("schema", ["a b", 'x";--', "Mine", "pg_mine", "9a"])
def test_a_schema_is_a_plain_name(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in statements."""
    monkeypatch.setenv("DATABASE_SCHEMA", schema)
    with pytest.raises(SettingsError, match=r"^DATABASE_SCHEMA"):
        load(_env_file=None)


def test_blanks_at_an_end_are_no_part_of_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A secret that a tool wrote with a line break works as it was meant."""
    monkeypatch.setenv("CRON_SECRET", "s3cret-s3cret\n")
    monkeypatch.setenv("RUNNER", " cron ")
    found = load(_env_file=None)
    assert found.cron_secret is not None
    assert found.cron_secret.get_secret_value() == "s3cret-s3cret"
    assert found.runner == "cron"
