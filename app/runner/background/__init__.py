"""What a worker does beside attempts: small, repeated, never urgent."""
