"""Which project a caller's key is limited to."""

from app.domain.errors import NotFound


def check_scope(project_id: str, scope: str | None) -> None:
    """Raise NotFound for another's project, as if it did not exist."""
    if scope is not None and project_id != scope:
        raise NotFound
