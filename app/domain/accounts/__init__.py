"""Who posts: accounts and their quotas. Pure."""
