"""The batches of a run: from samples that are read by their index, or from tars that are read in sequence."""
