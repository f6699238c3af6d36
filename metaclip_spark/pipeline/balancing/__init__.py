"""Balancing: the count of the entries, then the draw of the curated set."""

from metaclip_spark.pipeline.balancing.count import run_count
from metaclip_spark.pipeline.balancing.refill import refill_of
from metaclip_spark.pipeline.balancing.sample import check_before_start, run_sample

__all__ = ["check_before_start", "refill_of", "run_count", "run_sample"]
