"""The page on which a person chooses who they are and what the app may do."""

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlencode

from app.sandbox.accounts import Account


def choice(query: Mapping[str, str], people: Iterable[Account]) -> str:
    """Write links for everybody, and a form for who wants to untick scopes."""
    people = list(people)
    links = "".join(f"<li>{_approval(query, person)}</li>" for person in people)
    return (
        "<h1>Let the app post for you?</h1>"
        f"<p>{escape(query.get('scope', ''))}</p>"
        f"<ul>{links}</ul>"
        f"<p>{_link(query, 'Deny', deny='1')}</p>"
        f"<h2>Or choose what the app may do</h2>{_form(query, people)}"
    )


def _approval(query: Mapping[str, str], person: Account) -> str:
    words = f"Approve as {person.display_name} ({person.open_id})"
    return _link(query, words, approve="1", open_id=person.open_id)


def _link(query: Mapping[str, str], words: str, **more: str) -> str:
    target = escape("?" + urlencode({**query, **more}))
    return f'<a href="{target}">{escape(words)}</a>'


def _form(query: Mapping[str, str], people: Iterable[Account]) -> str:
    kept = {**query, "approve": "1"}
    # A field of its own comes first: with every box unticked nothing is granted.
    hidden = "".join(_hidden(name, value) for name, value in kept.items())
    scopes = "".join(_box(s) for s in query.get("scope", "").split(",") if s)
    options = "".join(
        f'<option value="{escape(person.open_id)}">{escape(person.display_name)}'
        f" ({escape(person.open_id)})</option>"
        for person in people
    )
    return (
        f"<form>{hidden}{_hidden('granted', '')}"
        f'<p><label>Signed in as <select name="open_id">{options}</select></label></p>'
        f"{scopes}<p><button>Approve these</button></p></form>"
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def _box(scope: str) -> str:
    name = escape(scope)
    return (
        '<p><label><input type="checkbox" name="granted" '
        f'value="{name}" checked> {name}</label></p>'
    )
