"""Images with captions: drawn, from a folder or from shards, and the arms that are compared."""
