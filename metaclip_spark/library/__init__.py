"""What `metaclip_spark` exports: whole runs, steps on DataFrames, metadata lists, and single pages and texts."""
