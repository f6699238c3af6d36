"""Trained models, ours and open_clip's, scored on test sets of several kinds, and ours exported to open_clip."""
