"""A command on a run where all that it would do is done: it reads what counts, and needs neither Spark nor the run."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TypeVar

from metaclip_spark import __version__
from metaclip_spark.commits.owner import Applicant, owning
from metaclip_spark.commits.run_file import RUN
from metaclip_spark.config.curation import OutputConfig, SummaryDomains
from metaclip_spark.config.job import typed_command
from metaclip_spark.config.logs import held_back
from metaclip_spark.config.requirements import Requirement
from metaclip_spark.errors import CurationError
from metaclip_spark.reports.records import Report
from metaclip_spark.reports.report import finish_run, judge_again
from metaclip_spark.runs.layout import REPORT_JSON
from metaclip_spark.runs.open import read_log
from metaclip_spark.runs.records import read_report
from metaclip_spark.runs.run import NotOpenForWorkError, Run
from metaclip_spark.stores.session import is_submitted
from metaclip_spark.stores.storage import Storage

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def reuse_or_do(
    output: OutputConfig, opened: Callable[[], AbstractContextManager[Run]], work: Callable[[Run], Result]
) -> tuple[Run, Result]:
    """Does a command's work; with --resume first on a run that can only be read, which is enough where all is done.

    Args:
        output: The run's folder, and whether to resume.
        opened: Opens the run for work, in a session.
        work: Does the steps; what is done already it only reads.

    Returns:
        The run, and what the work gave.
    """
    reused = _reuse(output, work)
    if reused is not None:
        return reused
    with opened() as run:
        return run, work(run)


def _reuse(output: OutputConfig, work: Callable[[Run], Result]) -> tuple[Run, Result] | None:
    """Does the work without Spark; None where that is not enough, or what is wrong is better said by the usual way."""
    # A cluster takes a driver that starts no Spark for a failed one, and uploads are looked for by who may abort them.
    if not output.resume or output.clean or is_submitted():
        return None
    storage = Storage(output.output)
    if storage.needs_session:
        return None
    try:
        with held_back() as told:
            run = Run(None, storage, output, read_log(storage))
            if not run.state.changed:
                # What a run of an earlier layout holds is imported first.
                return None
            result = work(run)
    except (CurationError, NotOpenForWorkError):
        return None
    for record in told:
        logging.getLogger(record.name).handle(record)
    return run, result


def finish_or_reuse(
    run: Run,
    against: str | None = None,
    requirements: Sequence[Requirement] = (),
    summary_domains: SummaryDomains | None = None,
) -> Report:
    """Writes a run's report, unless with --resume the one that is there says the same; see `run_report`.

    Of one where only the checks are others, the numbers are judged anew. Without `summary_domains` those that are
    listed already stay.
    """
    report = reusable_report(run) if run.output.resume and against is None else None
    if report is None or summary_domains not in {None, report.summary_domains}:
        return finish_run(run, against, requirements, summary_domains or "top-10%")
    if [check.check for check in report.checks] == [each.text for each in requirements]:
        log.info("report: already done, reused", extra={"step": "report", "event": "reused"})
        return report
    with _owned(run) as owned:
        report = judge_again(owned, report, requirements)
    log.info("report: already done, written again with other checks", extra={"step": "report", "event": "done"})
    return report


@contextmanager
def _owned(run: Run) -> Iterator[Run]:
    """Owns a run while the block writes its report, where only reading was asked for until now: without Spark."""
    if run.owner:
        yield run
        return
    applicant = Applicant("metaclip-spark report", command=typed_command())
    with owning(run.log, run.storage, applicant, wait=False) as owner:
        yield replace(run, owner=owner)


def reusable_report(run: Run) -> Report | None:
    """Reads the report of what counts, where all its files are there and it is what this version would write."""
    finished = run.state.finished
    summary = run.storage.read_json(RUN) or {}
    # Nothing has changed since the entry that names a report: it is of the curated set that counts.
    if finished is None or summary.get("commit") != run.state.finish_number:
        return None
    if run.storage.files(finished.report) != summary.get("report_files"):
        return None
    if summary.get("versions", {}).get("metaclip-spark") != __version__:
        return None
    report = read_report(run.storage, f"{finished.report}/{REPORT_JSON}", Report)
    return None if report is None or report.comparison else report
