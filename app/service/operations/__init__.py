"""What operators and their programs ask: health, status, metrics, restore."""
