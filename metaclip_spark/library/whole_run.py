"""All steps of a run in their order: what the command `curate` and the function `curate` do."""

from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.entries import Metadata
from metaclip_spark.inputs.resolve import resolve_inputs
from metaclip_spark.pipeline import check_before_start, run_count, run_extract, run_match, run_sample
from metaclip_spark.reports.records import Report
from metaclip_spark.reports.report import finish_run
from metaclip_spark.runs.layout import check_apart
from metaclip_spark.runs.open import begin_run
from metaclip_spark.runs.run import Run


def curate_run(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    language: LanguageConfig,
    sample: SampleConfig,
    metadata: Metadata,
) -> tuple[Run, Report]:
    """Does the steps that are not done yet, and writes the report; everything is checked before Spark starts."""
    check_before_start(sample, metadata)
    paths = resolve_inputs(extract)
    check_apart(output.output, paths)
    with begin_run(output, "curate") as run:
        run_extract(run, extract, paths)
        run_match(run, match, language, metadata)
        run_count(run, language, metadata)
        run_sample(run, sample, language)
        return run, finish_run(run)
