"""The steps of a curation: DataFrames in, DataFrames out; no storage and no configuration."""
