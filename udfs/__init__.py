"""Everything here runs in a Python worker."""

OWNER = "metaclip_spark"
