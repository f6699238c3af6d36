"""The commands that write a run: all of it, or one step after another."""

from functools import partial

from metaclip_spark.commands.show import show
from metaclip_spark.config.curation import (
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    ReportConfig,
    SampleConfig,
)
from metaclip_spark.config.job import EXIT_DONE, EXIT_USER_MUST_CHANGE, job


@job(OutputConfig, ExtractConfig, MatchConfig, LanguageConfig, SampleConfig)
def curate(
    output: OutputConfig, extract: ExtractConfig, match: MatchConfig, language: LanguageConfig, sample: SampleConfig
) -> None:
    """Curate a balanced image-text dataset: extract, match, count, sample and report in one command."""
    from metaclip_spark.entries import load_metadata
    from metaclip_spark.pipeline import (
        check_before_start,
        resolve_inputs,
        run_count,
        run_extract,
        run_match,
        run_sample,
    )
    from metaclip_spark.reports.report import finish_run
    from metaclip_spark.runs.run import open_run, prepare_output
    from metaclip_spark.stores.storage import check_apart

    metadata = load_metadata(match.metadata)
    check_before_start(sample, metadata)
    paths = resolve_inputs(extract)
    check_apart(output.output, paths)
    with open_run(output, "metaclip-spark curate", prepare_output, begins=True) as run:
        run_extract(run, extract, paths)
        run_match(run, match, language, metadata)
        run_count(run, language, metadata)
        run_sample(run, sample, language)
        finish_run(run)


@job(OutputConfig, ExtractConfig)
def extract_pool(output: OutputConfig, extract: ExtractConfig) -> None:
    """Extract pairs from archives (or read them from files) and deduplicate them into the pool."""
    from metaclip_spark.pipeline import resolve_inputs, run_extract
    from metaclip_spark.runs.run import open_run, prepare_output
    from metaclip_spark.stores.storage import check_apart

    paths = resolve_inputs(extract)
    check_apart(output.output, paths)
    with open_run(output, "metaclip-spark extract", prepare_output, begins=True) as run:
        run_extract(run, extract, paths)


@job(OutputConfig, MatchConfig, LanguageConfig)
def match_pool(output: OutputConfig, match: MatchConfig, language: LanguageConfig) -> None:
    """Match the pool of a run against a metadata list."""
    from metaclip_spark.entries import load_metadata
    from metaclip_spark.pipeline import BUCKET, run_match
    from metaclip_spark.runs.run import open_run, prepare_step
    from metaclip_spark.stores.storage import manifest_name

    metadata = load_metadata(match.metadata)
    prepare = partial(prepare_step, step="match", bucket=BUCKET, needs=[manifest_name("deduplicate", BUCKET)])
    with open_run(output, "metaclip-spark match", prepare) as run:
        run_match(run, match, language, metadata)


@job(OutputConfig, MatchConfig, LanguageConfig)
def count_entries(output: OutputConfig, match: MatchConfig, language: LanguageConfig) -> None:
    """Count the metadata entries in the matched pairs of a run."""
    from metaclip_spark.entries import load_metadata
    from metaclip_spark.pipeline import BUCKET, run_count
    from metaclip_spark.runs.run import open_run, prepare_step
    from metaclip_spark.stores.storage import manifest_name

    metadata = load_metadata(match.metadata)
    prepare = partial(prepare_step, step="count", needs=[manifest_name("match", BUCKET)])
    with open_run(output, "metaclip-spark count", prepare) as run:
        run_count(run, language, metadata)


@job(OutputConfig, SampleConfig, LanguageConfig)
def sample_pairs(output: OutputConfig, sample: SampleConfig, language: LanguageConfig) -> None:
    """Draw the curated set of a run from its matched pairs and entry counts."""
    from metaclip_spark.pipeline import run_sample
    from metaclip_spark.runs.run import open_run, prepare_step
    from metaclip_spark.stores.storage import manifest_name

    prepare = partial(prepare_step, step="sample", needs=[manifest_name("count")])
    with open_run(output, "metaclip-spark sample", prepare) as run:
        run_sample(run, sample, language)


@job(OutputConfig, ReportConfig)
def report_curation(output: OutputConfig, report: ReportConfig) -> None:
    """Write the report of a run and run.json, which makes the run finished."""
    from metaclip_spark.reports.compare import check_other
    from metaclip_spark.reports.report import finish_run
    from metaclip_spark.runs.run import open_run, prepare_nothing

    if report.against:
        check_other(report.against)
    with open_run(output, "metaclip-spark report", prepare_nothing) as run:
        finish_run(run, report.against)


@job(OutputConfig, ExtractConfig, MatchConfig, resumes=False)
def check_cluster(output: OutputConfig, extract: ExtractConfig, match: MatchConfig) -> int:
    """Check on the executors whether a run would work there, and how long it would take, before hours are spent."""
    from metaclip_spark.cluster_check import check_cluster as check
    from metaclip_spark.entries import load_metadata
    from metaclip_spark.pipeline import resolve_inputs
    from metaclip_spark.runs.run import open_run, prepare_nothing

    metadata = load_metadata(match.metadata)
    paths = resolve_inputs(extract)
    with open_run(output, "metaclip-spark check_cluster", prepare_nothing, begins=True) as run:
        verdict = check(run, extract, match, metadata, paths)
    failed = f"{verdict.failures} checks failed: a run would fail" if verdict.failures else "a run would work here"
    show([*verdict.lines, failed])
    return EXIT_USER_MUST_CHANGE if verdict.failures else EXIT_DONE
