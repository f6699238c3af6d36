"""Builds, checks and compares lists of metadata entries."""
