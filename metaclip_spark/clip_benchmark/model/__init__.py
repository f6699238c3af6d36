"""The towers and the encoders of the five variants."""
