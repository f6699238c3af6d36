"""What YARN is told of a command that ends as it must not be run again, where the driver runs in YARN (cluster mode).

Spark tells YARN the exit code alone, and lets YARN run a driver that failed a second time: a user's mistake would fail
twice, and its line would stand in a container's log only.
"""

import logging
import os
import re
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

_CONTAINER = "CONTAINER_ID"
_SUBMITTED = "PYSPARK_GATEWAY_PORT"
_STAGING = "SPARK_YARN_STAGING_DIR"
# container_1795793867087_0002_01_000001, with e and a number before the first number where YARN was restarted.
_ATTEMPT = re.compile(r"_(\d+)_\d+$")
_USUAL_ATTEMPTS = 2
# Whoever may see the application sees its diagnostics; Spark hides the values of such names, too.
_SECRET = re.compile(r"(?i)([\w.-]*(?:secret|passw|token|access[._-]?key)[\w.-]*\s*[=:]\s*)[^\s,;'\"]+")


def end_application(line: str, *, final: bool) -> None:
    """Ends the YARN application that this process is the driver of, with a line as its diagnostics.

    Elsewhere than in YARN's cluster mode it does nothing, and where YARN does not answer it says so in the log.

    Args:
        line: What went wrong, for `spark-submit` and `yarn application -status`.
        final: Whether a further attempt would fail alike. That holds for a first attempt only: what it has passed, a
            later one fails for another reason. Otherwise only the last attempt is ended.
    """
    if not may_be_driver_in_container():
        return
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    try:
        # Under spark-submit it connects to the JVM that is there.
        gateway: Any = SparkContext._gateway or launch_gateway()  # type: ignore[no-untyped-call, unused-ignore]
        if not _is_in_cluster_mode(gateway.jvm) or not _ends_here(gateway.jvm, final=final):
            return
        _unregister(gateway.jvm, _SECRET.sub(r"\1...", line))
    except Exception as error:  # whatever it is, the command's own end is what counts
        log.warning(f"YARN could not be told why the application ends: {error}")
        return
    # A folder that stays harms nobody.
    with suppress(Exception):
        _delete_staging_folder(gateway.jvm)


def may_be_driver_in_container() -> bool:
    """Tells whether spark-submit started this process in a container of YARN, as it does in cluster mode."""
    return {_CONTAINER, _SUBMITTED} <= os.environ.keys()


def _is_in_cluster_mode(jvm: Any) -> bool:
    """Tells whether the JVM is the application's own: a spark-submit in a container of another one is not."""
    settings = jvm.org.apache.spark.SparkConf()
    return (settings.get("spark.master", ""), settings.get("spark.submit.deployMode", "")) == ("yarn", "cluster")


def _ends_here(jvm: Any, *, final: bool) -> bool:
    attempt = _ATTEMPT.search(os.environ[_CONTAINER])
    if attempt is None:
        return False
    settings = jvm.org.apache.hadoop.yarn.conf.YarnConfiguration()
    most = settings.getInt("yarn.resourcemanager.am.max-attempts", _USUAL_ATTEMPTS)
    wanted = jvm.org.apache.spark.SparkConf().getInt("spark.yarn.maxAppAttempts", most)
    return (final and int(attempt[1]) == 1) or int(attempt[1]) >= min(most, wanted)


def _unregister(jvm: Any, line: str) -> None:
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped, unused-ignore]

    client = jvm.org.apache.hadoop.yarn.client.api.AMRMClient.createAMRMClient()
    client.init(jvm.org.apache.hadoop.yarn.conf.YarnConfiguration())
    client.start()
    try:
        # Before there is a session Spark has not registered the application, and it cannot be ended.
        with suppress(Py4JJavaError):
            client.registerApplicationMaster("", -1, "")
        failed = jvm.org.apache.hadoop.yarn.api.records.FinalApplicationStatus.FAILED
        client.unregisterApplicationMaster(failed, line, "")
    finally:
        client.stop()


def _delete_staging_folder(jvm: Any) -> None:
    """Deletes what was uploaded for the application, which Spark keeps for a further attempt."""
    staging = os.environ.get(_STAGING)
    kept = jvm.org.apache.spark.SparkConf().get("spark.yarn.preserve.staging.files", "false")
    if staging and kept == "false":
        path = jvm.org.apache.hadoop.fs.Path(staging)
        settings = jvm.org.apache.hadoop.yarn.conf.YarnConfiguration()
        path.getFileSystem(settings).delete(path, True)  # noqa: FBT003 - Hadoop's own signature: recursive
