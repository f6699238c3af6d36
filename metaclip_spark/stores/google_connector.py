"""Google's connector, by which Hadoop reaches gs://: Dataproc brings it and sets it up, elsewhere its jar is given."""

from collections.abc import Iterable
from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_attempt

_JAR = "https://repo1.maven.org/maven2/com/google/cloud/bigdataoss/gcs-connector/3.1.9/gcs-connector-3.1.9-shaded.jar"

# --packages cannot name this jar: the one that Maven gives for the version brings a hundred others along.
MISSING = f"Dataproc brings Google's connector; elsewhere give spark-submit --jars {_JAR}"

TABLE_SETTINGS = {
    # Connectors and Hadoop's of other lines disagree about vectored reads: NoSuchMethodError at the first table.
    "parquet.hadoop.vectored.io.enabled": "false",
}


class AnotherWasQuickerError(FileExistsError):
    """An object has another version than the one that was to be put over, or is there where none was."""


NOT_FOUND = 404
ERRORS: dict[int | None, type[OSError]] = {401: PermissionError, 403: PermissionError, 412: AnotherWasQuickerError}
"""Status of an answer of Google's -> what it is told as."""

again_if_another_was_quicker = retry(
    retry=retry_if_exception_type(AnotherWasQuickerError), stop=stop_after_attempt(20), reraise=True
)
"""Puts again: the connector puts over the version that it has seen, and over no other."""

_CLASS = "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem"
_SETTING = "fs.gs.impl"
_ANSWER = "GoogleJsonResponseException"


def name_class(hadoop: Any) -> None:
    """Tells Hadoop's settings the connector's class where they do not have it and the jar is there.

    Hadoop looks for file systems once, mostly before Spark adds the jars of --jars.
    """
    if hadoop.get(_SETTING) is None and hadoop.getClassByNameOrNull(_CLASS) is not None:
        hadoop.set(_SETTING, _CLASS)


def status_of(thrown: Iterable[Any]) -> int | None:
    """Gives the status of Google's answer among exceptions of Java; None where there is none."""
    answers = (each for each in thrown if each.getClass().getSimpleName() == _ANSWER)
    return next((int(each.getStatusCode()) for each in answers), None)
