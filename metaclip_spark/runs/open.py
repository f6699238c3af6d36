"""Finished runs, opened to be read: no lock, no write."""

from dataclasses import replace
from typing import Any

from rich.console import Console

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import InputError
from metaclip_spark.runs.run import Run, session_for, session_settings
from metaclip_spark.stores.session import get_session
from metaclip_spark.stores.spark_io import prepare_tables
from metaclip_spark.stores.storage import LAYOUT, RUN, Storage, manifest_name


def is_run(storage: Storage) -> bool:
    """Tells whether a folder holds a run of which something can be read.

    Args:
        storage: The folder.

    Returns:
        True from the end of extraction on.
    """
    return storage.read_json(RUN) is not None or storage.read_json(manifest_name("extract")) is not None


def read_finished(storage: Storage) -> dict[str, Any]:
    """Reads run.json of a finished run.

    Args:
        storage: The run.

    Returns:
        Its content.

    Raises:
        InputError: If there is none, or it was written in another layout.
    """
    found = storage.read_json(RUN)
    if not isinstance(found, dict):
        what = "is unfinished" if is_run(storage) else "is no run"
        raise InputError(
            f"{storage.root} {what} (it has no {RUN}): give the folder of a finished run, or finish this one with "
            "--resume or jobs/report_curation.py"
        )
    if found.get("layout") != LAYOUT:
        version = found.get("versions", {}).get("metaclip-spark", "unknown")
        raise InputError(
            f"{storage.root} was written by metaclip-spark {version} in layout {found.get('layout', 'unknown')}; this "
            f"version reads layout {LAYOUT}: use that version, or run report_curation on it again"
        )
    return found


def open_finished(path: str, application: str, *, s3_packages: bool = False) -> Run:
    """Opens a finished run for reading; otherwise as `open_to_read`.

    Raises:
        InputError: If it is unfinished or from another version.
    """
    storage = Storage(path)
    session_for(storage, application, OutputConfig(output=path, s3_packages=s3_packages))
    read_finished(storage)
    return open_to_read(path, application, s3_packages=s3_packages)


def open_to_read(path: str, application: str, *, s3_packages: bool = False) -> Run:
    """Opens a run for reading, finished or not, and starts Spark.

    Args:
        path: The run's folder, on this machine or in a store.
        application: The name in Spark's UI.
        s3_packages: Fetch Spark's S3 jars; for plain python only.

    Returns:
        The run.

    Raises:
        InputError: If there is none.
    """
    output = OutputConfig(output=path, s3_packages=s3_packages)
    storage = Storage(path)
    session = session_for(storage, application, output)
    if not is_run(storage):
        raise InputError(f"{storage.root} is no run: give the folder that was a run's --output")
    session = session or get_session(application, session_settings(output))
    prepare_tables(session, storage, allow_rename_committer=True)
    return Run(session, storage, output, Console(stderr=True))


def open_beside(run: Run, path: str) -> Run:
    """Opens another run for reading in the session of one.

    Args:
        run: The run that is open.
        path: The other run's folder.

    Returns:
        The other run.
    """
    storage = Storage(path)
    prepare_tables(run.spark, storage, allow_rename_committer=True)
    return replace(run, storage=storage)
