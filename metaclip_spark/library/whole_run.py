"""All steps of a run in their order: what the command `curate` and the function `curate` do."""

from collections.abc import Sequence
from functools import partial

from metaclip_spark.cluster_check import Verdict, check_cluster
from metaclip_spark.config.curation import (
    ExportConfig,
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    SampleConfig,
)
from metaclip_spark.config.exclusion import ExcludeConfig, RebalanceConfig, RedrawConfig
from metaclip_spark.config.requirements import Requirement
from metaclip_spark.entries import Metadata
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.pipeline import (
    begin_with,
    check_before_start,
    language_of,
    metadata_of,
    nested_sample,
    open_first_run,
    read_rules,
    refill_of,
    run_count,
    run_exclude,
    run_extract,
    run_match,
    run_sample,
)
from metaclip_spark.reports.public.export import check_export, export_curated
from metaclip_spark.reports.records import Report
from metaclip_spark.reuse import finish_or_reuse, reuse_or_do
from metaclip_spark.runs.open import begin_run, try_output
from metaclip_spark.runs.paths import counts_files, find_inputs
from metaclip_spark.runs.run import Run


def curate_run(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    language: LanguageConfig,
    exclude: ExcludeConfig,
    sample: SampleConfig,
    export: ExportConfig,
    metadata: Metadata,
    *,
    requirements: Sequence[Requirement] = (),
) -> tuple[Run, Report]:
    """Does the steps that are not done yet, and writes the report; everything is checked before Spark starts."""
    rules = read_rules(exclude)
    paths, inputs = _check_inputs(output, extract, match, sample, export, metadata)
    inputs += rules.paths

    def work(run: Run) -> Report:
        run_extract(run, extract, paths)
        run_match(run, match, language, metadata)
        run_exclude(run, rules)
        run_count(run, language, metadata)
        run_sample(run, sample, language)
        return _finish(run, export, requirements)

    return reuse_or_do(output, partial(begin_run, output, "curate", inputs), work)


def rebalance_run(
    output: OutputConfig,
    rebalance: RebalanceConfig,
    exclude: ExcludeConfig,
    redraw: RedrawConfig,
    export: ExportConfig,
    *,
    requirements: Sequence[Requirement] = (),
) -> tuple[Run, Report]:
    """Balances anew what rules, or a download, have left of a finished run's pairs; that run is only read."""
    rules = read_rules(exclude)
    if export.export_curated:
        check_export(export.export_curated, output)

    def work(run: Run) -> Report:
        first = open_first_run(run, rebalance)
        nested, refill, language = nested_sample(first, redraw), refill_of(redraw, first, rules), language_of(first)
        begin_with(run, first)
        run_exclude(run, rules, first)
        run_count(run, language, metadata_of(first.run), first.counts)
        run_sample(run, nested, language, refill)
        return _finish(run, export, requirements)

    inputs = [*rules.paths, *counts_files(redraw.entry_counts)]
    return reuse_or_do(output, partial(begin_run, output, "rebalance", inputs), work)


def _finish(run: Run, export: ExportConfig, requirements: Sequence[Requirement]) -> Report:
    """Writes the report and, where it is wanted, a copy of the curated set."""
    report = finish_or_reuse(run, requirements=requirements)
    if export.export_curated:
        export_curated(run, export.export_curated)
    return report


def try_run(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    exclude: ExcludeConfig,
    sample: SampleConfig,
    export: ExportConfig,
    metadata: Metadata,
    *,
    writes: bool,
) -> Verdict:
    """Checks all that `curate_run` would refuse, asks the workers, and extracts some archives without a trace."""
    rules = read_rules(exclude)
    paths, inputs = _check_inputs(output, extract, match, sample, export, metadata)
    inputs += rules.paths
    with try_output(output, "check", inputs) as run:
        return check_cluster(run, extract, match, metadata, paths, writes=writes)


def _check_inputs(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    sample: SampleConfig,
    export: ExportConfig,
    metadata: Metadata,
) -> tuple[list[ArchivePath], list[str]]:
    """Finds the archives, and the paths of all that is read; refuses before Spark starts what can be refused."""
    check_before_start(sample, metadata)
    paths = find_inputs(extract)
    if export.export_curated:
        check_export(export.export_curated, output)
    return paths, [*(path for _, path in paths), match.metadata, *counts_files(sample.entry_counts)]
