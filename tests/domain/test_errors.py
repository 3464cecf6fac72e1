"""The errors a caller can meet."""

from app.domain.errors import FieldError, InvalidInput, NotFound, SchedulerError


def _family(kind: type[SchedulerError]) -> list[type[SchedulerError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _family(child))]


def test_every_error_has_a_code_of_its_own() -> None:
    """A caller can tell any two errors apart by their code."""
    codes = [kind.code for kind in _family(SchedulerError)]
    assert len(set(codes)) == len(codes)


def test_an_error_says_its_docstring_unless_told_otherwise() -> None:
    """The message is the class's first line, or the one that is given."""
    assert (
        str(NotFound()) == "There is no such thing, or it belongs to another project."
    )
    assert str(NotFound("no such job")) == "no such job"


def test_invalid_input_carries_its_fields() -> None:
    """The edge learns which fields are wrong, in order."""
    one, two = FieldError("/post/title", "too long"), FieldError("/assetUrl", "missing")
    assert InvalidInput(one, two).errors == (one, two)
    assert str(InvalidInput(one)) == "The request is not valid."
