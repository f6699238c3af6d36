"""Balancing several metadata lists: a threshold for each of them."""
