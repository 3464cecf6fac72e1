"""What a caller may name things."""

import pytest

from app.domain.naming import problem_with_name


@pytest.mark.parametrize(
    "name", ["a", "proj_1", "x" * 200, "プロジェクト 🎬", "a b", "\xa0"]
)
def test_a_name_is_free_text(name: str) -> None:
    """Ids are the caller's own; nothing is asked of their form."""
    assert problem_with_name(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "1 to 200"),
        ("x" * 201, "1 to 200"),
        ("a|b", "must not contain '|'"),
        ("a\x00", "control"),
        ("a\x1f", "control"),
        ("a\n", "control"),
        ("\x7f", "control"),
        ("\x9f", "control"),
        ("\ud800", "control"),
        (chr(0xDFFF), "control"),
    ],
)
def test_a_name_that_breaks_the_key_or_a_log_is_refused(name: str, why: str) -> None:
    """No two requests share a key, and every name can be stored and logged."""
    problem = problem_with_name(name)
    assert problem is not None
    assert why in problem
