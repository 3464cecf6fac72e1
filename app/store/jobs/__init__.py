"""Everything stored about a job: its row, claims, ledger, init writes, history."""
