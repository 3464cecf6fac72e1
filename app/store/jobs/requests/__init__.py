"""What requests do to jobs: create, show, list, edit, delete, retry, cancel, watch."""
