"""Look into videos and photos at their own addresses, with few bytes and no copy."""
