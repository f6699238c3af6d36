"""The rules by which matched pairs are excluded, one module each, and the step that puts them together."""
