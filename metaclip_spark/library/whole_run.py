"""All steps of a run in their order: what the command `curate` and the function `curate` do."""

from functools import partial

from metaclip_spark.config.curation import (
    ExportConfig,
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    SampleConfig,
)
from metaclip_spark.entries import Metadata
from metaclip_spark.pipeline import check_before_start, run_count, run_extract, run_match, run_sample
from metaclip_spark.reports.export import check_export, export_curated
from metaclip_spark.reports.records import Report
from metaclip_spark.reuse import finish_or_reuse, reuse_or_do
from metaclip_spark.runs.open import begin_run
from metaclip_spark.runs.paths import counts_files, find_inputs
from metaclip_spark.runs.run import Run


def curate_run(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    language: LanguageConfig,
    sample: SampleConfig,
    export: ExportConfig,
    metadata: Metadata,
) -> tuple[Run, Report]:
    """Does the steps that are not done yet, and writes the report; everything is checked before Spark starts."""
    check_before_start(sample, metadata)
    paths = find_inputs(extract)
    if export.export_curated:
        check_export(export.export_curated, output)
    inputs = [*(path for _, path in paths), match.metadata, *counts_files(sample.entry_counts)]

    def work(run: Run) -> Report:
        run_extract(run, extract, paths)
        run_match(run, match, language, metadata)
        run_count(run, language, metadata)
        run_sample(run, sample, language)
        report = finish_or_reuse(run)
        if export.export_curated:
            export_curated(run, export.export_curated)
        return report

    return reuse_or_do(output, partial(begin_run, output, "curate", inputs), work)
