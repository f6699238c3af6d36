"""The commands that build, check and compare metadata lists."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from metaclip_spark.commands.show import next_command, show
from metaclip_spark.config.job import EXIT_DONE, EXIT_FAILED, EXIT_USER_MUST_CHANGE, STARTS_ANEW, job
from metaclip_spark.config.metadata import (
    DiffConfig,
    LintConfig,
    MetadataOutput,
    MetadataSources,
    MetadataThresholds,
    TitleViewsConfig,
    TitleViewsOutput,
    WorldwideConfig,
    WorldwideOutput,
)
from metaclip_spark.errors import ConfigError, counted, joined, said_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RUN = ("--archives", "ARCHIVES", "--output", "OUTPUT", "--threshold-t", "T")
"""What a run needs beside its metadata list, for the user to fill in."""


def _session(name: str, output: MetadataOutput) -> "SparkSession":
    from metaclip_spark.stores.session import get_session, is_submitted
    from metaclip_spark.stores.spark_io import package_settings, refuse_packages_under_submit

    if output.s3_packages:
        refuse_packages_under_submit(submitted=is_submitted())
    spark = get_session(f"metaclip-spark {name}", package_settings() if output.s3_packages else {})
    spark.sparkContext.setJobDescription(name)
    return spark


@job(MetadataSources, MetadataThresholds, MetadataOutput, when_stopped=STARTS_ANEW)
def build_metadata(sources: MetadataSources, thresholds: MetadataThresholds, output: MetadataOutput) -> None:
    """Build the metadata list from WordNet, Wikipedia articles and page views."""
    from metaclip_spark.metadata_builder.build import build_metadata as build
    from metaclip_spark.metadata_builder.text_report import build_lines

    built = build(_session("build-metadata", output), sources, thresholds, output)
    built_list = f"{output.output}/metadata.json"
    show([*build_lines(built), f"wrote {built_list}", f"Next: {next_command('lint-metadata', built_list)}"])


@job(TitleViewsConfig, TitleViewsOutput, when_stopped=STARTS_ANEW)
def count_title_views(config: TitleViewsConfig, output: TitleViewsOutput) -> None:
    """Sum the page views of all Wikipedias, by wiki and title, for their metadata lists."""
    from metaclip_spark.metadata_builder.worldwide.title_views import TITLES_FOLDER, sum_title_views

    found = sum_title_views(_session("count-title-views", output), config, output)
    titles, views = (sum(numbers) for numbers in zip(*found.wikis.values(), strict=True))
    summed = f"{counted(len(found.wikis), 'wiki')}, {counted(titles, 'title')}, {counted(views, 'view')}"
    folder = f"{output.output}/{TITLES_FOLDER}"
    following = f"Next: --title-views {folder} for build-metadata, or title_views: {folder} in a plan"
    show([*(f"warning: {warning}" for warning in found.warnings), summed, f"wrote {folder}", following])


@job(WorldwideConfig, WorldwideOutput, when_stopped=STARTS_ANEW)
def build_worldwide(config: WorldwideConfig, output: WorldwideOutput) -> int:
    """Build one metadata list per language from a plan; lists that are done are kept."""
    from metaclip_spark.entries.lists import LANGUAGES_FILE
    from metaclip_spark.metadata_builder.worldwide.build import build_worldwide as build
    from metaclip_spark.metadata_builder.worldwide.plan import read_plan

    plan = read_plan(config.plan)
    lists = build(_session("build-worldwide", output), plan, output, lambda line: show([line]))
    if lists.failed:
        show([f"failed: {joined(lists.failed)}; languages.json is written once all lists are there: run it again"])
        return EXIT_FAILED
    total = counted(sum(lists.entries.values()), "entry", "entries")
    wrote = f"wrote {output.output}/{lists.written}"
    if lists.written != LANGUAGES_FILE:
        wrote = f"kept {LANGUAGES_FILE}, which is not that of the plan; {wrote}: put it in its place to take it"
    show(
        [
            f"{counted(len(lists.entries), 'list')}, {total}",
            wrote,
            f"Next: {next_command('lint-metadata', output.output)}",
        ]
    )
    return EXIT_DONE


@job(LintConfig, when_stopped=STARTS_ANEW)
def lint_metadata(config: LintConfig) -> int:
    """Check a metadata list for entries that cannot match, repeat others or deserve a look."""
    from metaclip_spark.entries.lists import names_lists
    from metaclip_spark.metadata_builder.lint import lint_file
    from metaclip_spark.metadata_builder.text_report import lint_lines

    if names_lists(config.metadata):
        return _lint_folder(config)
    entries, findings, digest = lint_file(config.metadata, config.fix)
    has_errors = any(finding.severity == "error" for finding in findings) and not config.fix
    if has_errors:
        following = next_command("lint-metadata", config.metadata, "--fix", "FIXED.json")
    else:
        following = next_command("curate", *_RUN, "--metadata", config.fix or config.metadata)
    wrote = [f"wrote {config.fix} with the digest {digest}"] if config.fix else []
    show([*lint_lines(entries, findings, config.examples), *wrote, f"Next: {following}"])
    return EXIT_USER_MUST_CHANGE if has_errors else EXIT_DONE


def _lint_folder(config: LintConfig) -> int:
    from metaclip_spark.metadata_builder.lint import lint_folder
    from metaclip_spark.metadata_builder.text_report import folder_lines

    if config.fix:
        raise ConfigError(
            f"--fix writes one list, but --metadata {config.metadata} is a folder of lists: give the list's own file, "
            "such as ja/metadata.json"
        )
    linted = lint_folder(config.metadata)
    faulty = [code for code, (_, findings) in linted.items() if any(each.severity == "error" for each in findings)]
    if faulty:
        of_first = f"{config.metadata.rstrip('/')}/{faulty[0]}/metadata.json"
        following = next_command("lint-metadata", of_first, "--fix", "FIXED.json")
    else:
        following = next_command("curate", *_RUN, "--metadata", config.metadata)
    show([*folder_lines(linted, config.examples), f"Next: {following}"])
    return EXIT_USER_MUST_CHANGE if faulty else EXIT_DONE


@job(DiffConfig, when_stopped=STARTS_ANEW)
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
