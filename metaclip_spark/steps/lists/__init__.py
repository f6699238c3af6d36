"""What steps do with several metadata lists: a size for each of them, and numbers of many entries."""
