"""Entry ids to counts, keep probabilities and draws."""
