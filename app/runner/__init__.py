"""Running due jobs: claim, attempt, decide, write."""
