"""Run due jobs: claim, attempt, decide, write."""
