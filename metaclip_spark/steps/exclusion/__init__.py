"""The rules by which matched pairs are not eligible, each over the pairs of one bucket."""
