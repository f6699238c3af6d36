"""What is published of a curated set: the set itself, its domains, its sources."""
