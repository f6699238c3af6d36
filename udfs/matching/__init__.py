"""Texts to the metadata entries that they contain."""
