"""The three ways to open a run: begin it, continue it with one step, or read it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

from pyspark.sql import SparkSession

from metaclip_spark.commits.attempts import lies_in_attempt
from metaclip_spark.commits.entries import Import, Reset
from metaclip_spark.commits.files import tidy
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, Owner, check_free, owning
from metaclip_spark.commits.state import State
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.job import typed_command
from metaclip_spark.errors import InputError, OutputExistsError, counted
from metaclip_spark.runs.layout import (
    REGISTERS,
    REPORT,
    TABLES,
    check_apart,
    check_usable,
    holds_run,
    mark_as_run,
    place_of,
    wave_place,
)
from metaclip_spark.runs.layout_1 import (
    check_marker,
    delete_layout_1,
    is_finished_1,
    is_of_layout_1,
    read_layout_1,
    take_lock_1,
)
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import STEPS, step_before, tables_before
from metaclip_spark.stores.session import get_session, is_submitted
from metaclip_spark.stores.spark_io import (
    package_settings,
    prepare_compression,
    prepare_tables,
    refuse_packages_under_submit,
    warn_of_region,
)
from metaclip_spark.stores.storage import Storage
from udfs.sources.credentials import without_credentials

log = logging.getLogger(__name__)

_DONE = {"match": "matched", "exclude": "through exclude", "count": "counted", "sample": "sampled"}
_NO_RUN = "is not a run: give the folder that was a run's --output"
_AGAIN = {"match": "matches", "exclude": "excludes", "count": "counts", "sample": "samples"}


def begin_run(output: OutputConfig, name: str = "curate", inputs: Sequence[str] = ()) -> AbstractContextManager[Run]:
    """Begins a run in an empty folder, or goes on with one that is there, as --resume and --overwrite say.

    Args:
        output: Where, and what to do about what is there.
        name: The job, for messages and for Spark's UI.
        inputs: Paths of all that the job reads.

    Returns:
        A context with the run, which this driver owns meanwhile.

    Raises:
        OutputExistsError: If the folder holds a run and neither --resume nor --overwrite was given, holds other files,
            cannot be written to, or is in use by another driver.
        InputError: If its log is not whole, or of a newer version.
        ConfigError: If an input lies in the run's own folders.
    """
    return _own(output, name, inputs, step=None, begins=True)


def continue_run(
    output: OutputConfig, step: str | None = None, inputs: Sequence[str] = (), *, name: str = "report"
) -> AbstractContextManager[Run]:
    """Opens a run to do one of its steps.

    Args:
        output: Where, and what to do about the step if it was done before.
        step: One of `STEPS`; None for what is done anew each time, such as the report.
        inputs: Paths of all that the job reads, but for the run itself.
        name: The job, where it does no one step.

    Returns:
        A context with the run, which this driver owns meanwhile.

    Raises:
        InputError: If the folder holds no run, the step before this one has not been done, or its log is not whole.
        OutputExistsError: If the step was done and neither --resume nor --overwrite was given, or the folder cannot be
            written to or is in use by another driver.
        ConfigError: If an input lies where the step writes.
    """
    return _own(output, step or name, inputs, step=step, begins=False)


@contextmanager
def try_output(output: OutputConfig, name: str, inputs: Sequence[str]) -> Iterator[Run]:
    """Opens a folder for trial writes: a run is neither begun nor changed, but refused as `begin_run` would.

    Raises:
        OutputExistsError: If the folder holds a run and neither --resume nor --overwrite was given, or other files.
        ConfigError: If an input lies in the run's own folders.
    """
    storage = Storage(output.output)
    application = _application(name)
    session = session_for(storage, application, output)
    check_apart(output.output, inputs)
    check_usable(storage)
    read = _log_to_write(storage, output, begins=True)
    _check_begin(storage, read.state, output, Applicant(application))
    session = session or _session(application, output)
    prepare_compression(session)
    log.info(prepare_tables(session, storage, allow_rename_committer=output.allow_rename_committer))
    yield Run(lambda: session, storage, output, Log(storage) if output.overwrite else read)


def open_run(path: str, *, name: str = "read", s3_packages: bool = False, finished: bool = True) -> Run:
    """Opens a run to read it; nothing is written, and Spark starts once a table is read.

    Args:
        path: The run's folder, on this machine or in a store.
        name: The job, for Spark's UI.
        s3_packages: Fetch Spark's S3 jars; for plain python only.
        finished: Refuse a run that is unfinished; otherwise it is enough that extraction ended.

    Returns:
        The run, which keeps a session that is running and otherwise starts one when it needs it.

    Raises:
        ConfigError: If Hadoop alone reaches the folder, and no session can be started.
        InputError: If the folder is no run, or the run is unfinished or was written in another layout.
    """
    output = OutputConfig(output=path, s3_packages=s3_packages)
    storage = Storage(output.output)
    application = _application(name)
    session_for(storage, application, output)
    read = read_log(storage)
    if finished:
        check_finished(storage, read)
    elif not _is_extracted(read.state):
        raise InputError(f"{storage.root} {_NO_RUN}")

    def session_to_read() -> SparkSession:
        session = _session(application, output)
        prepare_tables(session, storage, allow_rename_committer=True)
        return session

    run = Run(session_to_read, storage, output, read)
    if SparkSession.getActiveSession():
        # The run keeps the session that it was opened in.
        _ = run.spark
    return run


def open_beside(run: Run, path: str) -> Run:
    """Opens another run for reading in the session of one."""
    storage = Storage(path)
    prepare_tables(run.spark, storage, allow_rename_committer=True)
    return Run(lambda: run.spark, storage, run.output, read_log(storage))


def read_log(storage: Storage) -> Log:
    """Reads the log of a folder; a run of layout 1 is read as if it had one.

    Raises:
        InputError: If the log is not whole, or of a newer version.
    """
    read = Log(storage)
    if not read.read_all().changed and is_of_layout_1(storage):
        check_marker(storage)
        read.state.take_layout_1(read_layout_1(storage))
    return read


def _is_extracted(state: State) -> bool:
    return bool(state.tables or state.samples)


def check_finished(storage: Storage, read: Log) -> None:
    """Refuses a run that is unfinished.

    Raises:
        InputError: If it is.
    """
    state = read.state
    if state.finished or (not state.changed and is_finished_1(storage)):
        return
    if not (_is_extracted(state) or state.number):
        raise InputError(f"{storage.root} {_NO_RUN}")
    raise InputError(
        f"{storage.root} is unfinished: give the folder of a finished run, or finish this one with --resume or "
        "metaclip-spark report"
    )


def _check_begin(storage: Storage, state: State, output: OutputConfig, applicant: Applicant) -> None:
    """Refuses to begin a run where there is one, unless the user or a restarted driver goes on with it."""
    if output.resume or output.overwrite or not holds_run(storage) or _holds_nothing(storage, state):
        return
    if state.owner is not None and applicant.follows(state.owner):
        return
    raise OutputExistsError(
        f"--output {storage.root} holds a run: --resume goes on with it, --overwrite deletes it first"
    )


def _holds_nothing(storage: Storage, state: State) -> bool:
    """Tells whether drivers have opened a run, but none came so far that anything counts."""
    return bool(state.number) and not (state.waves or _is_extracted(state)) and not is_of_layout_1(storage)


def _check_step(storage: Storage, state: State, output: OutputConfig, applicant: Applicant, step: str) -> None:
    """Refuses a step that was done before, unless the user or a restarted driver goes on, and one without input."""
    before = step_before(STEPS[step], state.begins)
    if before and not _is_begun(state, before.name):
        raise InputError(f"--output {storage.root} has no finished step '{before.name}': run that step first")
    goes_on = output.resume or output.overwrite or (state.owner is not None and applicant.follows(state.owner))
    if _is_begun(state, step) and not goes_on:
        raise OutputExistsError(
            f"--output {storage.root} has already been {_DONE[step]}: --resume keeps that where the settings are the "
            f"same, --overwrite {_AGAIN[step]} again"
        )


def _is_begun(state: State, step: str) -> bool:
    if STEPS[step].is_sample:
        return state.sample is not None
    return any(name == step for name, _ in state.tables)


def session_settings(output: OutputConfig) -> dict[str, str]:
    """Gives what a session that plain python starts needs for a run's store."""
    if not output.s3_packages:
        return {}
    refuse_packages_under_submit(submitted=is_submitted())
    return package_settings()


def session_for(storage: Storage, application: str, output: OutputConfig) -> SparkSession | None:
    """Starts Spark early where Hadoop alone reaches a folder, so that not even its lock can be taken without."""
    # Its refusal comes first, also where no session is needed yet.
    session_settings(output)
    return _session(application, output) if storage.needs_session else None


def _session(application: str, output: OutputConfig) -> SparkSession:
    shown = without_credentials(output.output)
    return get_session(application, session_settings(output), purpose=f"output {shown}")


@contextmanager
def _own(output: OutputConfig, name: str, inputs: Sequence[str], *, step: str | None, begins: bool) -> Iterator[Run]:
    """Owns a run's folder; whatever can be refused is refused before anything is written."""
    storage = Storage(output.output)
    application = _application(name)
    # What Hadoop alone reaches has its full name from a session.
    session_for(storage, application, output)
    check_apart(output.output, inputs, () if begins else tables_before(step))
    check_usable(storage)
    if not begins and not holds_run(storage):
        raise InputError(f"--output {storage.root} holds no run: make one with curate or extract, or check the path")
    check_marker(storage)
    read = _log_to_write(storage, output, begins=begins)
    if not is_submitted():
        # Before Spark starts. A driver that its cluster has restarted is known by its session only.
        _refuse(storage, read.state, output, Applicant(application), step, begins=begins)
        if not _waits(output):
            check_free(read, storage, Applicant(application), wait=False)
    session = _session(application, output)
    prepare_compression(session)
    line = prepare_tables(session, storage, allow_rename_committer=output.allow_rename_committer)
    if storage.scheme != "file":
        log.info(line)
    if warning := warn_of_region(storage):
        log.warning(warning)
    applicant = _applicant(session, application)

    def check(state: State) -> None:
        # Another driver may have been at work until now.
        _refuse(storage, state, output, applicant, step, begins=begins)
        take_lock_1(storage)

    with owning(read, storage, applicant, wait=_waits(output), check=check) as owner, _tagged(session, owner):
        run = Run(lambda: session, storage, output, owner.log, owner, step if output.overwrite else None)
        mark_as_run(storage)
        had_report = bool(owner.state.finished)
        _take_over(run, begins=begins)
        _tidy_uploads(run)
        yield run
        if had_report and not owner.state.finished:
            # Nobody is to open, or publish, figures of a curated set that is gone.
            tidy(owner, REPORT)


@contextmanager
def _tagged(session: SparkSession, owner: Owner) -> Iterator[None]:
    """Lets the owner's jobs be cancelled once another driver has taken the run, and says that in one line."""
    context = session.sparkContext
    context.addJobTag(owner.tag)
    owner.when_lost = partial(context.cancelJobsWithTag, owner.tag)
    try:
        yield
    except OutputExistsError:
        raise
    except Exception:
        # What the next driver has deleted is missed before a sign of life finds that driver.
        with suppress(OSError, InputError):
            owner.check()
        raise
    # Only now: after a signal this thread's next call into the JVM would wait for the answer to the one cut short.
    context.removeJobTag(owner.tag)


def _waits(output: OutputConfig) -> bool:
    """Tells whether the user wants the run whoever has it, if only that driver is silent long enough."""
    return output.resume or output.overwrite


def _log_to_write(storage: Storage, output: OutputConfig, *, begins: bool) -> Log:
    """Reads the log; of layout 1 that is to be overwritten, nothing need be readable."""
    if not (begins and output.overwrite):
        return read_log(storage)
    log = Log(storage)
    log.read_all()
    return log


def _refuse(
    storage: Storage, state: State, output: OutputConfig, applicant: Applicant, step: str | None, *, begins: bool
) -> None:
    if begins:
        _check_begin(storage, state, output, applicant)
    elif step is not None:
        _check_step(storage, state, output, applicant, step)


def _applicant(session: SparkSession, application: str) -> Applicant:
    context = session.sparkContext
    attempt = context.getConf().get("spark.app.attempt.id")
    return Applicant(application, context.applicationId, attempt, typed_command())


def _take_over(run: Run, *, begins: bool) -> None:
    """Imports a run of layout 1, and begins anew where the user says so or nothing would be lost."""
    owner, storage = run.owned, run.storage
    if begins and run.output.overwrite:
        mine = owner.state.owner.application if owner.state.owner else None
        if owner.restarted and owner.state.reset_by == mine:
            # An earlier attempt of this very application has begun anew: what it did since is kept.
            return
        owner.commit(Reset(owner=owner.nonce))
        delete_layout_1(storage)
        tidy_all(owner)
    elif is_of_layout_1(storage):
        if not owner.state.changed:
            owner.commit(Import(owner=owner.nonce, entries=read_layout_1(storage, owner.nonce)))
        elif not owner.state.imported:
            # A driver that began anew did not come to delete what was there.
            delete_layout_1(storage)
    elif begins and not run.output.resume and owner.state.begins and _holds_nothing(storage, owner.state):
        # What a start that came to nothing had settled binds nobody.
        owner.commit(Reset(owner=owner.nonce))


def tidy_all(owner: Owner) -> None:
    """Deletes all that does not count any more, earlier curated sets too."""
    tidy(owner, wave_place())
    for table in (*TABLES, *REGISTERS, REPORT):
        tidy(owner, place_of(table))
        for name in owner.storage.names(table):
            if name.startswith("bucket="):
                tidy(owner, f"{table}/{name}")


def _application(name: str) -> str:
    return f"metaclip-spark {name}"


def _tidy_uploads(run: Run) -> None:
    store = run.storage.uploads
    found = store.unfinished_uploads() if store else []
    if store is None:
        return
    # If this driver has been asleep, a later one may be writing.
    uploads = [upload for upload in found if not lies_in_attempt(store.name_of(upload[0]), since=run.owned.opened)]
    if not uploads:
        return
    if run.output.clean:
        store.abort_uploads(uploads)
        log.info(f"{counted(len(uploads), 'unfinished upload')} below {run.storage.root} aborted")
        return
    log.warning(
        f"{counted(len(uploads), 'unfinished upload')} below {run.storage.root}, such as {uploads[0][0]}: the parts "
        "are billed; --clean aborts them, a lifecycle rule of the bucket does so for good"
    )
