"""Values and pure functions, free of every framework."""
