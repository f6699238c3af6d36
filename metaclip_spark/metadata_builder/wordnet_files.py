"""The names of WordNet's data files, apart from what reads them from any store."""

DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
"""One file for each part of speech, as Princeton and Debian name them."""
