"""The steps in their order, each over what the step before it has stored: extract, match, exclude, count, sample."""

from metaclip_spark.pipeline.balancing import check_before_start, refill_of, run_count, run_sample
from metaclip_spark.pipeline.exclusion import run_exclude
from metaclip_spark.pipeline.extraction import run_extract
from metaclip_spark.pipeline.first_run import begin_with, language_of, metadata_of, nested_sample, open_first_run
from metaclip_spark.pipeline.matching import run_match
from metaclip_spark.pipeline.rules import Rules, read_rules

__all__ = [
    "Rules",
    "begin_with",
    "check_before_start",
    "language_of",
    "metadata_of",
    "nested_sample",
    "open_first_run",
    "read_rules",
    "refill_of",
    "run_count",
    "run_exclude",
    "run_extract",
    "run_match",
    "run_sample",
]
