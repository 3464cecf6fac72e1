"""Small repeated work that a worker does besides attempts."""
