"""What goes out: the post, its media, and how media travels. Pure."""
