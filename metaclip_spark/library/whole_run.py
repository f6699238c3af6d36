"""All steps of a run in their order: what the command `curate` and the function `curate` do."""

from collections.abc import Sequence
from functools import partial

from metaclip_spark.cluster_check import Verdict, check_cluster
from metaclip_spark.commits.entries import Removal
from metaclip_spark.config.curation import (
    ExportConfig,
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    SampleConfig,
)
from metaclip_spark.config.exclusion import ExcludeConfig, PurgeConfig, RebalanceConfig, RedrawConfig, RemovalConfig
from metaclip_spark.config.requirements import Requirement
from metaclip_spark.entries import Metadata
from metaclip_spark.errors import ConfigError, InputError
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
from metaclip_spark.pipeline.again import Again, again
from metaclip_spark.pipeline.purge import PurgePlan, plan_purge, purge
from metaclip_spark.pipeline.removals import conclude
from metaclip_spark.pipeline.remove import (
    drawn_pairs,
    drop_removed,
    find_pairs,
    judging_for,
    looks_at_drawn,
    read_listed,
    register,
    registered,
)
from metaclip_spark.reports.public.export import check_export, export_curated
from metaclip_spark.reports.records import Report
from metaclip_spark.reuse import finish_or_reuse, reuse_or_do
from metaclip_spark.runs.open import begin_run, continue_run, open_run, tidy_all, try_output
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


def remove_from_run(output: OutputConfig, removal: RemovalConfig) -> tuple[Run, Removal, int, Report | None]:
    """Registers a removal, and takes what it names out of the curated set.

    Returns:
        The run, the removal, its number in the run's log, and the report of what is left; None where the run has no
        curated set yet.

    Raises:
        ConfigError: If the run would be overwritten, or its rules have changed since.
        InputError: If a list, or a file of the rules, cannot be read.
    """
    if output.overwrite:
        raise ConfigError("--overwrite: what was removed stays removed; leave the option out")
    listed = read_listed(removal)
    with continue_run(output, None, listed.paths, name="remove") as run:
        made, is_sampled = again(run), run.state.sample is not None
        balances = is_sampled and removal.mode == "rebalance"
        if balances:
            made.check_same_rules()
            metadata = made.metadata()
        judging = judging_for(made, listed)
        number = registered(run, listed)
        if number is None:
            number = register(run, judging, listed, made)
        found = run.state.removals[number]
        if not is_sampled:
            return run, found, number, None
        if balances:
            _balance_what_is_left(made, metadata, number)
        else:
            drop_removed(run)
            conclude(run, [number], removal.mode)
        return run, found, number, finish_or_reuse(run)


def _balance_what_is_left(made: Again, metadata: Metadata, number: int) -> None:
    try:
        made.balance(metadata)
    except ConfigError as error:
        raise ConfigError(
            f"removal {number} is registered, but what is left cannot be balanced as before ({error}): remove the same "
            "with --mode drop, or run sample with another size"
        ) from None


def name_removed(output: OutputConfig, removal: RemovalConfig) -> Removal:
    """Finds what a removal would name; nothing is written."""
    listed = read_listed(removal)
    run = open_run(output.output, name="remove")
    judging = judging_for(again(run), listed)
    only_drawn = looks_at_drawn(run, removal)
    named = find_pairs(judging, listed, drawn_pairs(run) if only_drawn else judging.pairs())
    matched, curated = named.counts(named.pairs)
    matched = {} if only_drawn else matched
    without_pairs = named.without_pairs()
    named.release()
    return Removal(
        owner="",
        tables={},
        reason=removal.reason,
        values=listed.numbers,
        without_pairs=without_pairs,
        matched=matched,
        curated=curated,
        settings={},
    )


def purge_run(output: OutputConfig, config: PurgeConfig) -> tuple[Run, PurgePlan, Report | None]:
    """Takes what was removed out of every table of a run, where `config.yes` says so.

    Returns:
        The run, what holds something removed, and the report after it; None where nothing was written.

    Raises:
        ConfigError: If the run would be overwritten, or its rules have changed since.
        InputError: If nothing was removed, the run has no curated set, or files of it are gone.
    """
    if output.overwrite:
        raise ConfigError("--overwrite: a purge changes what it must and keeps the rest; leave the option out")
    with continue_run(output, None, [config.metadata] if config.metadata else [], name="purge") as run:
        if not run.state.removals:
            raise InputError(f"{run.storage.root} has no removals: register one with remove")
        made = again(run)
        if run.state.sample is None:
            raise InputError(f"{run.storage.root} has no curated set: finish it first with curate --resume")
        made.check_same_rules()
        metadata = made.metadata(config.metadata)
        plan = plan_purge(run, made)
        if not config.yes:
            return run, plan, None
        purge(run, made, plan, metadata)
        report = finish_or_reuse(run)
        tidy_all(run.owned)
        return run, plan, report


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
