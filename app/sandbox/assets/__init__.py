"""Videos and photos to post, sound ones and bad ones: no other server is needed."""
