"""What pages can ask of those who use them, in plain names."""

PREFERENCES = ("noai", "noimageai", "noindex", "noimageindex", "tdm-reservation", "train-ai=n")
"""In the order of the bits of `page_preferences`, the lowest first."""
