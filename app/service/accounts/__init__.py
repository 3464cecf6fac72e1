"""Use cases around accounts: connect, look, disconnect."""
