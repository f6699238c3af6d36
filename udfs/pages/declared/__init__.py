"""What a page declares of itself: its language, and what it asks of those who use it."""
