"""A record to the images of its page."""
