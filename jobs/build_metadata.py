"""Build the metadata list from WordNet, Wikipedia articles and page views."""

import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.metadata import MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.metadata_builder.build import build_metadata
from metaclip_spark.metadata_builder.text_report import build_lines
from metaclip_spark.stores.session import get_session, is_submitted
from metaclip_spark.stores.spark_io import package_settings, refuse_packages_under_submit


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_build, argv), resumes=False)


def _build(argv: Sequence[str] | None) -> None:
    sources, thresholds, output = parse_configs(argv, __doc__, MetadataSources, MetadataThresholds, MetadataOutput)
    if output.s3_packages:
        refuse_packages_under_submit(submitted=is_submitted())
    spark = get_session("metaclip-spark build-metadata", package_settings() if output.s3_packages else {})
    spark.sparkContext.setJobDescription("build-metadata")
    built = build_metadata(spark, sources, thresholds, output)
    console = Console()
    for line in build_lines(built):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"wrote {output.output}/metadata.json", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
