"""Use cases of accounts: connect, show, disconnect."""
