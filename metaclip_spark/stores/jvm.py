"""The JVM of a session that plain python starts: what it prints while it starts is shown only if it fails to start."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from subprocess import Popen
from traceback import walk_tb

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway

_STANDARD_ERROR = 2
_JVM_OPTIONS = "SPARK_SUBMIT_OPTS"
"""The variable whose options Spark's launcher gives the JVM before all others, so that a user's own win."""


def start_context(conf: SparkConf) -> None:
    """Starts a SparkContext, in a new JVM where none runs; forgets what they print meanwhile unless that fails."""
    if SparkContext._active_spark_context is not None or SparkContext._gateway is not None:
        SparkContext.getOrCreate(conf)
        return
    with _Errors() as errors:
        with _our_logging(), _no_jvm_left():
            gateway = launch_gateway(conf, {"stderr": errors.writer})  # type: ignore[no-untyped-call, unused-ignore]
        SparkContext(conf=conf, gateway=gateway)


class _Errors:
    """Reads what a JVM writes to standard error: held back while the block runs, passed on afterwards."""

    def __enter__(self) -> "_Errors":
        self._reader, self.writer = os.pipe()
        self._held: list[bytes] | None = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="standard error of the JVM", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # The JVM has an end of its own.
        os.close(self.writer)
        if isinstance(error, Exception):
            # A JVM that has ended has closed it, too.
            self._thread.join(timeout=1.0)
        with self._lock:
            held, self._held = self._held or [], None
        if isinstance(error, Exception):
            _write(b"".join(held))

    def _read(self) -> None:
        while written := os.read(self._reader, 65536):
            with self._lock:
                if self._held is not None:
                    self._held.append(written)
                    continue
            _write(written)


def _write(text: bytes) -> None:
    # Past sys.stderr, whose lock a thread must not hold while Python shuts down.
    os.write(_STANDARD_ERROR, text)


@contextmanager
def _no_jvm_left() -> Iterator[None]:
    """Ends the JVM that the block has started if it fails, such as by a signal that stops the program meanwhile.

    PySpark takes away the folder in which such a JVM is to leave its port; it then stays without its driver.
    """
    try:
        yield
    except BaseException as error:
        # Nothing but the frames that failed knows the process.
        for frame, _ in walk_tb(error.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, Popen) and getattr(value, "pid", None):
                    value.kill()
        raise


@contextmanager
def _our_logging() -> Iterator[None]:
    """Gives a JVM that is started in the block our settings of log4j, unless the user has some."""
    before = os.environ.get(_JVM_OPTIONS)
    with ExitStack() as stack:
        if not _has_own_logging():
            settings = stack.enter_context(as_file(files("metaclip_spark.stores") / "log4j2.properties"))
            ours = f"-Dlog4j2.configurationFile={settings.resolve().as_uri()}"
            os.environ[_JVM_OPTIONS] = f"{ours} {before or ''}".strip()
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(_JVM_OPTIONS, None)
            else:
                os.environ[_JVM_OPTIONS] = before


def _has_own_logging() -> bool:
    home = os.environ.get("SPARK_HOME")
    folder = os.environ.get("SPARK_CONF_DIR") or (home and f"{home}/conf")
    return bool(folder) and any(Path(str(folder)).glob("log4j2.*"))
