"""Where a run lives: object stores, Spark's reads and writes, the session."""
