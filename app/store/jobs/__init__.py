"""What belongs to a job: its row, claims, attempts, init writes, confirmations."""
