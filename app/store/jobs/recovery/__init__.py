"""After a restore, a fail-over, an outage or a wrong clock: mend jobs, or hold them."""
