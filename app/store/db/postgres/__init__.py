"""Sessions with Postgres: where it is, how they are opened, which server answers."""
