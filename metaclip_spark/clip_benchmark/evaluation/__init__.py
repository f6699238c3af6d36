"""Zero-shot scores and the statistics over them."""
