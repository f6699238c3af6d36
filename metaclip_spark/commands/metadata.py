"""The commands that build, check and compare metadata lists."""

import json
from dataclasses import asdict
from pathlib import Path

from metaclip_spark.commands.show import next_command, show
from metaclip_spark.config.job import EXIT_DONE, EXIT_USER_MUST_CHANGE, job
from metaclip_spark.config.metadata import DiffConfig, LintConfig, MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.errors import said_of

_RUN = ("--archives", "ARCHIVES", "--output", "OUTPUT", "--threshold-t", "T")
"""What a run needs beside its metadata list, for the user to fill in."""


@job(MetadataSources, MetadataThresholds, MetadataOutput, resumes=False)
def build_metadata(sources: MetadataSources, thresholds: MetadataThresholds, output: MetadataOutput) -> None:
    """Build the metadata list from WordNet, Wikipedia articles and page views."""
    from metaclip_spark.metadata_builder.build import build_metadata as build
    from metaclip_spark.metadata_builder.text_report import build_lines
    from metaclip_spark.stores.session import get_session, is_submitted
    from metaclip_spark.stores.spark_io import package_settings, refuse_packages_under_submit

    if output.s3_packages:
        refuse_packages_under_submit(submitted=is_submitted())
    spark = get_session("metaclip-spark build-metadata", package_settings() if output.s3_packages else {})
    spark.sparkContext.setJobDescription("build-metadata")
    built = build(spark, sources, thresholds, output)
    built_list = f"{output.output}/metadata.json"
    show([*build_lines(built), f"wrote {built_list}", f"Next: {next_command('lint-metadata', built_list)}"])


@job(LintConfig, resumes=False)
def lint_metadata(config: LintConfig) -> int:
    """Check a metadata list for entries that cannot match, repeat others or deserve a look."""
    from metaclip_spark.metadata_builder.lint import lint_file
    from metaclip_spark.metadata_builder.text_report import lint_lines

    entries, findings, digest = lint_file(config.metadata, config.fix)
    has_errors = any(finding.severity == "error" for finding in findings) and not config.fix
    if has_errors:
        following = next_command("lint-metadata", config.metadata, "--fix", "FIXED.json")
    else:
        following = next_command("curate", *_RUN, "--metadata", config.fix or config.metadata)
    wrote = [f"wrote {config.fix} with the digest {digest}"] if config.fix else []
    show([*lint_lines(entries, findings, config.examples), *wrote, f"Next: {following}"])
    return EXIT_USER_MUST_CHANGE if has_errors else EXIT_DONE


@job(DiffConfig, resumes=False)
def diff_metadata(config: DiffConfig) -> None:
    """Compare two metadata lists: what was added and removed, per source."""
    from metaclip_spark.metadata_builder.diff import compare_lists, load_sourced_list
    from metaclip_spark.metadata_builder.text_report import diff_lines
    from metaclip_spark.stores.local_store import LocalStore

    with said_of("--old"):
        old = load_sourced_list(config.old)
    with said_of("--new"):
        new = load_sourced_list(config.new)
    differences = compare_lists(old, new)
    if config.output:
        content = json.dumps([asdict(difference) for difference in differences], ensure_ascii=False, indent=2)
        output = Path(config.output)
        LocalStore(output.parent).put(output.name, content.encode() + b"\n")
    wrote = [f"wrote {config.output}"] if config.output else []
    following = next_command("match", "--metadata", config.new, "--output", "OUTPUT", "--overwrite")
    show([*diff_lines(differences, config.examples), *wrote, f"Next: {following}"])
