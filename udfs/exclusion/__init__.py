"""Rules by which matched pairs are not eligible."""
