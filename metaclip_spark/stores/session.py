"""The SparkSession, with the reason for each setting."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from metaclip_spark import __version__
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.stores.jvm import start_context
from metaclip_spark.yarn import may_be_driver_in_container

log = logging.getLogger(__name__)

OLDEST_JAVA = 17

# JAVA_TOOL_OPTIONS, which the JVM repeats before it, may hold quotes as well.
_JAVA_VERSION = re.compile(r'^\w+ version "(?:1\.)?(\d+)', re.MULTILINE)

SETTINGS = {
    # Extraction writes three kinds of rows per task; with open writers for each, Spark need not sort by kind first.
    "spark.sql.maxConcurrentOutputFileWriters": "8",
    "spark.sql.parquet.compression.codec": "zstd",
    # Rows of alternative texts are small: a batch takes few megabytes.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16384",
    # Large results come to the driver in Arrow batches, not row by row.
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A table that lost a file, or a file that cannot be read, must stop a run, never make it smaller.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # Our own progress lines replace Spark's bar, which would write over them.
    "spark.ui.showConsoleProgress": "false",
    # A worker that raises shows its Python traceback; Spark's simplified form hides the line.
    "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "false",
}
"""Settings that a running session accepts as well; a value that the user gave to spark-submit wins."""

LOCAL_SETTINGS = {"spark.driver.memory": "2g", "spark.python.daemon.module": "metaclip_spark.stores.python_daemon"}
"""Settings of a session that plain python starts, whose workers have the packages of the driver."""


def get_session(application: str, extra: Mapping[str, str] | None = None, *, purpose: str = "") -> SparkSession:
    """Finds the running Spark session or starts one.

    Under spark-submit, on EMR or in a notebook the cluster's own settings stand. Plain `python` gets `local[N,4]` on
    all cores: unlike `local[N]` it retries a failed task, as a cluster does.

    Args:
        application: The application's name in Spark's UI.
        extra: Settings of a session that plain python starts, such as packages.
        purpose: What the log says of it while it starts, such as "output runs/first".

    Returns:
        A session with `SETTINGS` where the user set nothing else.

    Raises:
        ConfigError: If a session must be started and there is no Java 17 or newer.
    """
    session = SparkSession.getActiveSession() or _start_session(application, extra or {}, purpose)
    given = {name for name, _ in session.sparkContext.getConf().getAll()}
    for name, value in SETTINGS.items():
        if name.startswith("spark.sql.") and name not in given:
            session.conf.set(name, value)
    return session


def _start_session(application: str, extra: Mapping[str, str], purpose: str) -> SparkSession:
    cores, where = os.cpu_count() or 1, ""
    settings: dict[str, Any] = {"spark.app.name": application}
    if not is_submitted():
        check_java()
        # Workers of a local session would otherwise start the first python3 on the path.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        settings |= {**SETTINGS, **LOCAL_SETTINGS, **extra}
        if "MASTER" not in os.environ:
            # A local session has no business on the network.
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            settings["spark.master"] = f"local[{cores},4]"
            where = f" ({counted(cores, 'core')})"
    log.info(f"metaclip-spark {__version__}: starting Spark{where}{purpose and f', {purpose}'}")
    with _own_handler_of_interrupts():
        conf = SparkConf().setAll(list(settings.items()))
        if is_submitted():
            with warnings.catch_warnings():
                if may_be_driver_in_container():
                    # In cluster mode YARN has put the files of --py-files elsewhere, and on the path already.
                    warnings.filterwarnings("ignore", message="Failed to add file", category=RuntimeWarning)
                SparkContext.getOrCreate(conf)
        else:
            start_context(conf)
    session = SparkSession.builder.config(map=settings).getOrCreate()
    if address := session.sparkContext.uiWebUrl:
        log.info(f"Spark UI: {address}")
    return session


@contextmanager
def _own_handler_of_interrupts() -> Iterator[None]:
    """Gives a program's handler of SIGINT back, which a new SparkContext replaces by one that calls into the JVM.

    Where the main thread is inside of such a call, that second one fails. In a notebook Spark's handler stays.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not signal.default_int_handler and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def is_submitted() -> bool:
    """Tells whether spark-submit started this process: it then hands the gateway's port down."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def check_java() -> None:
    """Checks that a Java that runs Spark is there, before Spark prints a page about it.

    Raises:
        ConfigError: If there is no Java 17 or newer.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        raise ConfigError(f"no Java found: install Java {OLDEST_JAVA} or newer and set JAVA_HOME to its folder")
    version = _java_version(java)
    if version < OLDEST_JAVA:
        raise ConfigError(f"{java} is Java {version}: install Java {OLDEST_JAVA} or newer and set JAVA_HOME to it")


def _java_version(java: str) -> int:
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = _JAVA_VERSION.search(shown)
    return int(found[1]) if found else 0
