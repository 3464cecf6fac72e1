"""Print results: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON: names and values as in the API.")
]


def validated(model: "type[Model]", values: Mapping[str, object]) -> "Model":
    """Check values as the API does; raises BadParameter."""
    from pydantic import ValidationError

    from app.domain.errors import in_our_words

    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "filter"
        raise typer.BadParameter(f"{name}: {in_our_words(first['msg'])}") from None


def print_json(value: object) -> None:
    """Print a value, with keys and times spelt as in the API."""
    # Where not every character can be written, as JSON escapes it.
    plain = sys.stdout.encoding.lower().replace("-", "") != "utf8"
    typer.echo(json.dumps(value, ensure_ascii=plain, indent=2))


def as_answer(answer: "BaseModel") -> dict[str, Any]:
    """Return an answer of the API as in its JSON."""
    return answer.model_dump(mode="json", by_alias=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns; a pipe gets tabs between them."""
    shown = [[shown_text(each) for each in row] for row in rows]
    if not sys.stdout.isatty():
        for row in shown:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in shown:
        table.add_row(*map(Text, row))  # a title's brackets are no markup
    Console().print(table)


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values, one per line, without empty values."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        if shown := shown_text(value):
            typer.echo(f"{name:<{width}}  {shown}")


def shown_text(value: object) -> str:
    """Format a value for people: None as empty, a time to the second."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case dict() | list() | tuple():
            return _harmless(json.dumps(value, ensure_ascii=False)) if value else ""
        case _:
            return _harmless(str(value))


def _harmless(text: str) -> str:
    """Leave out terminal escape sequences: a caller's text may hold them."""
    return "".join(c if c.isprintable() else " " for c in text)
