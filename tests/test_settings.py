"""Settings whose spelling is their own."""

from datetime import timedelta

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
