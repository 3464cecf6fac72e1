"""A job from its creation to its end, and every change between. Pure."""
