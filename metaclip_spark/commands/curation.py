"""The commands that write a run: all of it, or one step after another."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from msgspec import UnsetType

from metaclip_spark.commands.show import entry_option, next_command, show
from metaclip_spark.config.curation import (
    ExportConfig,
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    ReportConfig,
    ReportedConfig,
    SampleConfig,
    TrialConfig,
)
from metaclip_spark.config.exclusion import ExcludeConfig, RebalanceConfig, RedrawConfig
from metaclip_spark.config.job import EXIT_DONE, STARTS_ANEW, job, typed_options
from metaclip_spark.config.requirements import RequireConfig
from metaclip_spark.errors import ConfigError, EmptyCuratedSetError, counted, joined

if TYPE_CHECKING:
    from metaclip_spark.cluster_check import Verdict
    from metaclip_spark.reports.records import HeadEntry, ListedEntry, Report
    from metaclip_spark.runs.records import RefillNumbers
    from metaclip_spark.runs.run import Run


_OF_A_RUN = (
    OutputConfig,
    ExtractConfig,
    MatchConfig,
    LanguageConfig,
    ExcludeConfig,
    SampleConfig,
    ExportConfig,
    RequireConfig,
)
"""The options that a whole run depends on."""

_LISTS_NAMED = 8
"""Metadata lists whose threshold a line tells."""

_NOT_REPEATED = ("threshold_t", "tail_share", "target_pairs", "seed", "preset")
"""Options of a draw that another one has in another form: a preset of languages is what it stands for."""


@job(*_OF_A_RUN, TrialConfig)
def curate(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    language: LanguageConfig,
    exclude: ExcludeConfig,
    sample: SampleConfig,
    export: ExportConfig,
    require: RequireConfig,
    trial: TrialConfig,
) -> int:
    """Curate a balanced image-text dataset: extract, match, count, sample and report in one command."""
    from metaclip_spark.entries import load_to_match
    from metaclip_spark.library.whole_run import curate_run, try_run

    metadata = load_to_match(match)
    if trial.dry_run:
        verdict = try_run(output, extract, match, exclude, sample, export, metadata, writes=False)
        return _show_verdict(verdict, "nothing was written; a run should work here")
    run, report = curate_run(
        output, extract, match, language, exclude, sample, export, metadata, requirements=require.requirements
    )
    show_finished(run, report)
    return EXIT_DONE


@job(OutputConfig, ExtractConfig)
def extract_pool(output: OutputConfig, extract: ExtractConfig) -> None:
    """Extract pairs from archives (or read them from files) and deduplicate them into the pool."""
    from metaclip_spark.pipeline import run_extract
    from metaclip_spark.reuse import reuse_or_do
    from metaclip_spark.runs.open import begin_run
    from metaclip_spark.runs.paths import find_inputs

    paths = find_inputs(extract)
    opened = partial(begin_run, output, "extract", [path for _, path in paths])
    reuse_or_do(output, opened, lambda run: run_extract(run, extract, paths))
    show([f"Next: {next_command('match', '--metadata', 'METADATA', '--output', output.output)}"])


@job(OutputConfig, MatchConfig, LanguageConfig)
def match_pool(output: OutputConfig, match: MatchConfig, language: LanguageConfig) -> None:
    """Match the pool of a run against a metadata list."""
    from metaclip_spark.entries import load_to_match
    from metaclip_spark.pipeline import run_match
    from metaclip_spark.reuse import reuse_or_do
    from metaclip_spark.runs.open import continue_run

    metadata = load_to_match(match)
    opened = partial(continue_run, output, "match", [match.metadata])
    reuse_or_do(output, opened, lambda run: run_match(run, match, language, metadata))
    borders = ("--word-borders", match.word_borders) if match.word_borders else ()
    show([f"Next: {next_command('count', '--metadata', match.metadata, *borders, '--output', output.output)}"])


@job(OutputConfig, ExcludeConfig)
def exclude_pairs(output: OutputConfig, exclude: ExcludeConfig) -> None:
    """Exclude matched pairs of a run by rules, before they are counted."""
    from metaclip_spark.pipeline import read_rules, run_exclude
    from metaclip_spark.reuse import reuse_or_do
    from metaclip_spark.runs.open import continue_run

    rules = read_rules(exclude)
    opened = partial(continue_run, output, "exclude", rules.paths)
    reuse_or_do(output, opened, lambda run: run_exclude(run, rules))
    show([f"Next: {next_command('count', '--metadata', 'METADATA', '--output', output.output)}"])


@job(OutputConfig, MatchConfig, LanguageConfig)
def count_entries(output: OutputConfig, match: MatchConfig, language: LanguageConfig) -> None:
    """Count the metadata entries in the matched pairs of a run."""
    from metaclip_spark.entries import load_to_match
    from metaclip_spark.pipeline import run_count
    from metaclip_spark.reuse import reuse_or_do
    from metaclip_spark.runs.open import continue_run

    metadata = load_to_match(match)
    opened = partial(continue_run, output, "count", [match.metadata])
    reuse_or_do(output, opened, lambda run: run_count(run, language, metadata))
    show([f"Next: {next_command('sample', '--threshold-t', 'T', '--output', output.output)}"])


@job(OutputConfig, SampleConfig, LanguageConfig, ExportConfig)
def sample_pairs(output: OutputConfig, sample: SampleConfig, language: LanguageConfig, export: ExportConfig) -> None:
    """Draw the curated set of a run from its matched pairs and entry counts."""
    from metaclip_spark.pipeline import run_sample
    from metaclip_spark.reports.public.export import check_export, export_curated
    from metaclip_spark.reuse import reuse_or_do
    from metaclip_spark.runs.open import continue_run
    from metaclip_spark.runs.paths import counts_files

    if export.export_curated:
        check_export(export.export_curated, output)

    def work(run: "Run") -> None:
        run_sample(run, sample, language)
        if export.export_curated:
            export_curated(run, export.export_curated)

    opened = partial(continue_run, output, "sample", counts_files(sample.entry_counts))
    run, _ = reuse_or_do(output, opened, work)
    if run.state.finished is None:
        show([f"No report yet: {next_command('report', '--output', output.output)}"])


@job(OutputConfig, RebalanceConfig, ExcludeConfig, RedrawConfig, ExportConfig, RequireConfig)
def rebalance_run(
    output: OutputConfig,
    rebalance: RebalanceConfig,
    exclude: ExcludeConfig,
    redraw: RedrawConfig,
    export: ExportConfig,
    require: RequireConfig,
) -> int:
    """Balance anew what a download or rules have left of a finished run, which is only read."""
    from metaclip_spark.library import whole_run

    run, report = whole_run.rebalance_run(output, rebalance, exclude, redraw, export, requirements=require.requirements)
    show_finished(run, report, _refill_lines(run, rebalance.from_run))
    return EXIT_DONE


@job(ReportedConfig, ReportConfig, RequireConfig)
def report_curation(output: ReportedConfig, report: ReportConfig, require: RequireConfig) -> None:
    """Write the report of a run and run.json, which makes the run finished; or one page over many runs (--index)."""
    if output.index is not None:
        if report.against or require.require or output.resume or output.overwrite:
            raise ConfigError("--index shows runs as they are: leave out --against, --require, --resume, --overwrite")
        _index_runs(output.index)
        return
    from metaclip_spark.reports.compare import check_other
    from metaclip_spark.reuse import finish_or_reuse, reuse_or_do
    from metaclip_spark.runs.open import continue_run
    from metaclip_spark.runs.paths import counts_files

    if report.against:
        check_other(report.against)
    against = counts_files([report.against]) if report.against else []
    opened = partial(continue_run, output, inputs=against)
    requirements = require.requirements
    listed = report.summary_domains
    run, finished = reuse_or_do(output, opened, lambda run: finish_or_reuse(run, report.against, requirements, listed))
    show_finished(run, finished)


def _index_runs(folder: str) -> None:
    """Writes the page over the runs of a folder, and shows where it is."""
    from metaclip_spark.reports.index import open_folder, read_runs
    from metaclip_spark.reports.pages.index import put_index, render_index

    storage = open_folder(folder)
    rows = read_runs(storage)
    path = put_index(storage, render_index(rows, folder))
    counts = {row.status: [each.status for each in rows].count(row.status) for row in rows}
    told = ", ".join(f"{number:,} {status}" for status, number in sorted(counts.items()))
    show([f"{counted(len(rows), 'run')}: {told}", f"Index: {path}"], runs=len(rows), statuses=counts, index=path)


def show_finished(run: "Run", report: "Report", more: Sequence[str] = ()) -> None:
    """Shows a finished run's summary, where its report is, and more lines; a suspect size is an error behind it."""
    from metaclip_spark.reports.checks import check_requirements, failed_lines
    from metaclip_spark.reports.report import check_plausible, status_of
    from metaclip_spark.reports.summary import summary_lines, summary_numbers
    from metaclip_spark.runs.paths import shown_path

    finished = run.state.finished
    if finished is None:
        return
    curated = shown_path(run.storage, finished.sample)
    by_image = run.state.written("curated_images")
    images = shown_path(run.storage, by_image.folder) if by_image else None
    show(
        [
            *summary_lines(report),
            "",
            f"Run finished: {run.storage.root}",
            f"Report: {shown_path(run.storage, finished.report)}/report.html",
            *([f"Comparison with {report.comparison.name}: in the report"] if report.comparison else []),
            f"Curated pairs: {curated}",
            *([f"Curated pairs by image: {images}"] if images else []),
            *(_next_lines(run.output.output, report, curated, images) if report.real_size else []),
            *more,
        ],
        event="summary",
        status=status_of(report),
        numbers=summary_numbers(report),
        warnings=report.warnings,
        report=shown_path(run.storage, finished.report),
        curated=curated,
    )
    check_plausible(report)
    if not report.real_size:
        why = report.warnings[0] if report.warnings else "Balancing has kept no pair."
        raise EmptyCuratedSetError("\n".join([f"the curated set is empty: {why}", *failed_lines(report.checks)]))
    check_requirements(report)


def _refill_lines(run: "Run", from_run: str) -> list[str]:
    """Says what else to download, where that was asked for, and how to go on with it."""
    from metaclip_spark.runs.layout import REFILL
    from metaclip_spark.runs.paths import shown_path
    from metaclip_spark.runs.step import SAMPLE

    written, numbers = run.state.written(REFILL), run.manifest(SAMPLE).numbers.refill
    if written is None or isinstance(numbers, UnsetType):
        return []
    if not numbers.pairs:
        return ["", f"Refill: nothing is missing for {counted(numbers.target, 'pair')}"]
    folder = shown_path(run.storage, written.folder)
    options = _options_of_draw(numbers, from_run, run.output)
    return [
        "",
        f"Refill: {folder}",
        f"{counted(numbers.pairs, 'pair')} that {from_run} draws with {_larger_draw(numbers)}; with them "
        f"{numbers.target:,} are expected to survive. To go on, download them:",
        *img2dataset_lines(folder, images="images/refill"),
        "draw the first run's set so:",
        f"  {next_command('sample', '--output', from_run, *options, '--resume')}",
        f"  {next_command('report', '--output', from_run)}",
        "and give this command both downloads, and --resume.",
    ]


def _larger_draw(numbers: "RefillNumbers") -> str:
    """Says with which thresholds a plan draws."""
    if isinstance(numbers.thresholds, UnsetType):
        return f"t = {numbers.threshold_t:,}"
    shown = [f"{t if isinstance(t, str) else f'{t:,}'} for {code}" for code, t in numbers.thresholds.items()]
    more = len(shown) - _LISTS_NAMED
    told = f"t = {', '.join(shown[:_LISTS_NAMED])}{f' and so on for {more:,} more' if more > 0 else ''}"
    return told if isinstance(numbers.tail_share, UnsetType) else f"the tail share {numbers.tail_share} ({told})"


def _options_of_draw(numbers: "RefillNumbers", from_run: str, output: OutputConfig) -> list[str]:
    """Gives the options with which the first run draws as a plan says: its own, but for the threshold."""
    from metaclip_spark.config.fields import option_of
    from metaclip_spark.runs.open import read_log
    from metaclip_spark.runs.run import Run
    from metaclip_spark.runs.step import SAMPLE
    from metaclip_spark.stores.storage import Storage

    storage = Storage(from_run)
    saved = Run(None, storage, output, read_log(storage)).manifest(SAMPLE).settings
    by_share = not isinstance(numbers.tail_share, UnsetType)
    size = ["--tail-share", str(numbers.tail_share)] if by_share else ["--threshold-t", str(numbers.threshold_t)]
    options = [*size, "--seed", str(saved["seed"])]
    for config in (SampleConfig, LanguageConfig):
        for field in fields(config):
            value = saved.get(field.name)
            if value and field.name not in _NOT_REPEATED:
                options += [option_of(field.name), *([] if value is True else _as_typed(value))]
    return options


def _as_typed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


@job(*_OF_A_RUN, when_stopped=STARTS_ANEW)
def check_cluster(
    output: OutputConfig,
    extract: ExtractConfig,
    match: MatchConfig,
    _language: LanguageConfig,
    exclude: ExcludeConfig,
    sample: SampleConfig,
    export: ExportConfig,
    _require: RequireConfig,
) -> int:
    """Check on the executors whether a run would work there, and how long it would take, before hours are spent."""
    from metaclip_spark.entries import load_to_match
    from metaclip_spark.library.whole_run import try_run

    metadata = load_to_match(match)
    return _show_verdict(try_run(output, extract, match, exclude, sample, export, metadata, writes=True))


def _show_verdict(verdict: "Verdict", ready: str = "ready: a run should work here") -> int:
    if verdict.failures:
        show(verdict.lines)
        failed = f"{counted(len(verdict.failures), 'check')} failed ({joined(verdict.failures)})"
        raise ConfigError(f"{failed}: a run would fail")
    options = [option for option in typed_options() if option != "--dry-run"]
    show([*verdict.lines, ready, *([f"Next: {next_command('curate', *options)}"] if options else [])])
    return EXIT_DONE


def _next_lines(output: str, report: "Report", curated: str, images: str | None) -> list[str]:
    """Gives the three commands that a finished run is most often followed by."""
    from metaclip_spark.reports.explain.entry import named_entry

    thinned = [entry for entry in report.profile.most_cut if entry.kept < entry.entry_count]
    listed: Sequence[ListedEntry | HeadEntry] = thinned or report.head_entries
    entries = [named_entry(entry.entry_text, entry.metadata_language or None) for entry in listed]
    is_downloaded = bool(report.settings.get("exclude", {}).get("downloaded"))
    # What acts on a terminal is not shown there.
    which = entry_option(next((entry for entry in entries if entry.isprintable()), "a"))
    return [
        "",
        f"Next, to look at pairs of an entry{' that were dropped' if thinned else ''}:",
        f"  {next_command('explain', '--run', output, *which, *(['--dropped'] if thinned else []))}",
        "to see which size another threshold would give:",
        f"  {next_command('plan', '--run', output)}",
        *(_shards_lines(output) if is_downloaded else ["to download the images:", *_download_lines(curated, images)]),
    ]


def _download_lines(curated: str, images: str | None) -> list[str]:
    return img2dataset_lines(curated) if images is None else img2dataset_lines(images, by_image=True)


def _shards_lines(output: str) -> list[str]:
    options = ("--pairs", output, "--images", "images", "--output", "shards", "--one-sample-per-image")
    return ["to write shards of the images that were downloaded:", f"  {next_command('make-shards', *options)}"]


def img2dataset_lines(folder: str, *, by_image: bool = False, images: str = "images") -> list[str]:
    """Gives the command that downloads the images of a curated set, cut where a terminal would wrap it.

    A caption in img2dataset is one text: of several it would write Python's notation of a list. Where there is a row
    for each image they go into the JSON beside it.
    """
    texts = """--save_additional_columns '["texts","pair_ids"]'""" if by_image else "--caption_col alt_text"
    return [
        f"  img2dataset --url_list {shlex.quote(folder)} \\",
        f"    --input_format parquet --url_col image_url {texts} \\",
        f"    --output_format webdataset --output_folder {images}",
    ]
