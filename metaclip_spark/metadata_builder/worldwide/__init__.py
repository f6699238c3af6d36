"""One list per language: what they are built from, their labels, the views of all wikis."""
