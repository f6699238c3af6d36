"""Finished runs, opened to be read: no lock, no write."""

from typing import Any

from rich.console import Console

from metaclip_spark.config import OutputConfig
from metaclip_spark.errors import InputError
from metaclip_spark.run import Run
from metaclip_spark.session import get_session
from metaclip_spark.storage import LAYOUT, RUN, Storage, manifest_name


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


def open_finished(path: str, application: str) -> Run:
    """Opens a finished run for reading, and starts Spark.

    Args:
        path: The run's folder.
        application: The name in Spark's UI.

    Returns:
        The run.

    Raises:
        InputError: If it is unfinished or from another version.
    """
    read_finished(Storage(path))
    return open_to_read(path, application)


def open_to_read(path: str, application: str) -> Run:
    """Opens a run for reading, finished or not, and starts Spark.

    Args:
        path: The run's folder.
        application: The name in Spark's UI.

    Returns:
        The run.

    Raises:
        InputError: If there is none.
    """
    storage = Storage(path)
    if not is_run(storage):
        raise InputError(f"{storage.root} is no run: give the folder that was a run's --output")
    return Run(get_session(application), storage, OutputConfig(output=path), Console(stderr=True))
