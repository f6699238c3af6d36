"""The five variants' losses."""
