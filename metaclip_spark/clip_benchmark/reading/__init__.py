"""Samples of webdataset tars for training: at random from a local folder, or in sequence from anywhere."""
