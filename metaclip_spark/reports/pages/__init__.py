"""The documents that a run ends with: HTML pages and the data card."""
