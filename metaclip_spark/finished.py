"""Finished runs, opened to be read: no lock, no write."""

from typing import Any

from rich.console import Console

from metaclip_spark.config import OutputConfig
from metaclip_spark.errors import InputError
from metaclip_spark.run import Run
from metaclip_spark.session import get_session
from metaclip_spark.storage import RUN, Storage

LAYOUT = 1
"""The version of tables, manifests and run.json. A change that an older reader would misread raises it."""


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
        what = "is unfinished" if storage.holds_a_run() else "is no run"
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
    storage = Storage(path)
    read_finished(storage)
    return Run(get_session(application), storage, OutputConfig(output=path), Console(stderr=True))
