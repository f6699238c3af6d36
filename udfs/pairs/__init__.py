"""The images of a page to image-text pairs, as columns."""
