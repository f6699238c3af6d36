"""The three ways to open a run: begin it, continue it with one step, or read it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from pyspark.sql import SparkSession

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.runs.layout import (
    MANIFESTS,
    MARKER,
    RUN,
    check_usable,
    delete_run,
    holds_run,
    manifest_name,
    mark_as_run,
)
from metaclip_spark.runs.lock import locked
from metaclip_spark.runs.records import RunSummary, check_layout, read_object, read_record
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import STEPS
from metaclip_spark.stores.session import get_session, is_submitted
from metaclip_spark.stores.spark_io import (
    package_settings,
    prepare_compression,
    prepare_tables,
    refuse_packages_under_submit,
    warn_of_region,
)
from metaclip_spark.stores.storage import Storage

log = logging.getLogger(__name__)


def begin_run(output: OutputConfig, name: str = "curate") -> AbstractContextManager[Run]:
    """Begins a run in an empty folder, or goes on with one that is there, as --resume and --overwrite say.

    Args:
        output: Where, and what to do about what is there.
        name: The job, for the lock and for Spark's UI.

    Returns:
        A context with the run; its lock is held meanwhile.

    Raises:
        OutputExistsError: If the folder holds a run and neither --resume nor --overwrite was given, holds other files,
            cannot be written to, or is in use by another run.
    """
    return _hold(output, name, lambda storage: prepare_output(storage, output), begins=True)


def continue_run(output: OutputConfig, step: str | None = None) -> AbstractContextManager[Run]:
    """Opens a run to do one of its steps.

    Args:
        output: Where, and what to do about the step if it was done before.
        step: One of `STEPS`; None for the report, which is written anew each time.

    Returns:
        A context with the run; its lock is held meanwhile.

    Raises:
        InputError: If the folder holds no run, or the step before this one has not been done.
        OutputExistsError: If the step was done and neither --resume nor --overwrite was given, or the folder cannot be
            written to or is in use by another run.
    """
    if step is None:
        return _hold(output, "report", _check_marker, begins=False)
    return _hold(output, step, lambda storage: prepare_step(storage, output, step), begins=False)


def hold_output(output: OutputConfig, name: str) -> AbstractContextManager[Run]:
    """Opens a folder for trial writes: a run is neither begun nor changed.

    Raises:
        OutputExistsError: If the folder holds other files, cannot be written to, or is in use by another run.
    """
    return _hold(output, name, lambda _storage: None, begins=True)


def open_run(path: str, *, name: str = "read", s3_packages: bool = False, finished: bool = True) -> Run:
    """Opens a run to read it: no lock, no write.

    Args:
        path: The run's folder, on this machine or in a store.
        name: The job, for Spark's UI.
        s3_packages: Fetch Spark's S3 jars; for plain python only.
        finished: Refuse a run that has no run.json; otherwise it is enough that extraction ended.

    Returns:
        The run, in the session that is running or in a new one.

    Raises:
        InputError: If the folder is no run, or the run is unfinished or was written in another layout.
    """
    output = OutputConfig(output=path, s3_packages=s3_packages)
    storage = Storage(output.output)
    application = _application(name)
    session = session_for(storage, application, output)
    if finished:
        read_finished(storage)
    elif not is_run(storage):
        raise InputError(f"{storage.root} is no run: give the folder that was a run's --output")
    session = session or get_session(application, session_settings(output))
    prepare_tables(session, storage, allow_rename_committer=True)
    return Run(session, storage, output)


def open_beside(run: Run, path: str) -> Run:
    """Opens another run for reading in the session of one."""
    storage = Storage(path)
    prepare_tables(run.spark, storage, allow_rename_committer=True)
    return replace(run, storage=storage)


def is_run(storage: Storage) -> bool:
    """Tells whether a folder holds a run of which something can be read: from the end of extraction on."""
    return any(read_object(storage, name) is not None for name in (RUN, manifest_name("extract")))


def read_finished(storage: Storage) -> RunSummary:
    """Reads run.json of a finished run.

    Raises:
        InputError: If there is none, or it was written in another layout.
    """
    found = read_record(storage, RUN, RunSummary)
    if found is None:
        what = "is unfinished" if is_run(storage) else "is no run"
        raise InputError(
            f"{storage.root} {what} (it has no {RUN}): give the folder of a finished run, or finish this one with "
            "--resume or jobs/report_curation.py"
        )
    return found


def prepare_output(storage: Storage, output: OutputConfig) -> None:
    """Refuses or empties an output that holds a run, as the user asked, and marks it as a run's.

    Raises:
        OutputExistsError: If it holds a run and neither --resume nor --overwrite was given.
    """
    if output.overwrite:
        delete_run(storage)
    elif holds_run(storage):
        if not output.resume:
            raise OutputExistsError(f"{storage.root} holds a run: give --resume to go on with it, or --overwrite")
        _check_marker(storage)
    mark_as_run(storage)


def prepare_step(storage: Storage, output: OutputConfig, step: str) -> None:
    """Refuses or undoes a step that was done before, as the user asked, and refuses one whose input is missing.

    Raises:
        InputError: If the step before it has not been done.
        OutputExistsError: If the step was done and neither --resume nor --overwrite was given.
    """
    _check_marker(storage)
    before = STEPS[step].after
    if before and not _is_begun(storage, before):
        raise InputError(f"{storage.root} has no finished step '{before}': run that step first")
    if output.overwrite:
        storage.delete(RUN)
        for name in storage.names(MANIFESTS):
            if name == f"{step}.json" or name.startswith(f"{step}-"):
                storage.delete(f"{MANIFESTS}/{name}")
    elif _is_begun(storage, step) and not output.resume:
        raise OutputExistsError(
            f"{storage.root} has the step '{step}' already: give --resume to keep it where its settings are the same, "
            "or --overwrite to do it again"
        )


def _is_begun(storage: Storage, step: str) -> bool:
    # Whatever the number of buckets, there is a first one.
    (first,) = STEPS[step].manifest_names([0])
    return read_object(storage, first) is not None


def _check_marker(storage: Storage) -> None:
    """Refuses a run of a newer version before anything of it is changed."""
    check_layout(storage, MARKER, read_object(storage, MARKER) or {})


def session_settings(output: OutputConfig) -> dict[str, str]:
    """Gives what a session that plain python starts needs for a run's store."""
    if not output.s3_packages:
        return {}
    refuse_packages_under_submit(submitted=is_submitted())
    return package_settings()


def session_for(storage: Storage, application: str, output: OutputConfig) -> SparkSession | None:
    """Starts Spark early where Hadoop alone reaches a folder, so that not even its lock can be taken without."""
    settings = session_settings(output)
    return get_session(application, settings) if storage.needs_session else None


@contextmanager
def _hold(output: OutputConfig, name: str, prepare: Callable[[Storage], None], *, begins: bool) -> Iterator[Run]:
    """Takes a run's lock, prepares its folder, and only then starts Spark.

    Raises:
        InputError: If the folder holds no run and the job does not begin one.
    """
    storage = Storage(output.output)
    application = _application(name)
    session_for(storage, application, output)
    check_usable(storage)
    if not begins and not holds_run(storage):
        raise InputError(f"{storage.root} holds no run: make one with curate or extract_pool, or check --output")
    with locked(storage, application):
        prepare(storage)
        session = get_session(application, session_settings(output))
        prepare_compression(session)
        run = Run(session, storage, output)
        line = prepare_tables(session, storage, allow_rename_committer=output.allow_rename_committer)
        if storage.scheme != "file":
            log.info(line)
        if warning := warn_of_region(storage):
            log.warning(warning)
        _tidy_uploads(run)
        yield run


def _application(name: str) -> str:
    return f"metaclip-spark {name}"


def _tidy_uploads(run: Run) -> None:
    store = run.storage.uploads
    uploads = store.unfinished_uploads() if store else []
    if store is None or not uploads:
        return
    if run.output.clean:
        store.abort_uploads(uploads)
        log.info(f"{len(uploads)} unfinished uploads below {run.storage.root} aborted")
        return
    log.warning(
        f"{len(uploads)} unfinished uploads below {run.storage.root}, first {uploads[0][0]}: their parts are billed; "
        "--clean aborts them, a lifecycle rule of the bucket does so for good"
    )
