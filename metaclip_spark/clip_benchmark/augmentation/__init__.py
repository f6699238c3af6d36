"""Views of images and texts, tokens and batches."""
