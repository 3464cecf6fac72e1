"""The database itself: engine, column types, grouped writes, encryption, migrations."""
