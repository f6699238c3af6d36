"""Runs jobs on the YARN of the tests, and finds their processes. Used by the tests."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.yarn_server import YarnServer
from tests.end_to_end.command import CHECKOUT, MOST_SECONDS, Installation

MASTER = "yarn"


@dataclass(frozen=True)
class OnYarn(Installation):
    """An installation whose jobs run on YARN; it takes the place of a pack, since all nodes are this machine.

    Attributes:
        yarn: The YARN.
        variables: Of spark-submit's environment, beside the usual ones.
    """

    yarn: YarnServer
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """See `Installation`."""
        folder = str(self.yarn.configuration)
        return {**super().environment(), "HADOOP_CONF_DIR": folder, "YARN_CONF_DIR": folder, **self.variables}

    def settings(self, mode: str, **more: str) -> list[str]:
        """Gives Spark's settings of a deploy mode; those of `more` are variables of all containers."""
        variables = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "NUMBA_CACHE_DIR": str(CHECKOUT / "udfs" / "__pycache__"),
            "JAVA_TOOL_OPTIONS": os.environ.get("JAVA_TOOL_OPTIONS", ""),
            **more,
        }
        places = ("spark.yarn.appMasterEnv", "spark.executorEnv")
        given = [f"{place}.{name}={value}" for name, value in variables.items() for place in places if value]
        python = self.python
        return [
            f"spark.submit.deployMode={mode}",
            # The jars of Spark, which it would upload with each application.
            f"spark.yarn.jars=local:{self.site_packages}/pyspark/jars/*",
            f"spark.yarn.appMasterEnv.PYSPARK_PYTHON={python}",
            f"spark.pyspark.python={python}",
            "spark.executor.instances=2",
            "spark.executor.memory=768m",
            "spark.executor.memoryOverhead=768m",
            "spark.driver.memory=1g",
            "spark.yarn.report.interval=500ms",
            *given,
        ]


@dataclass(frozen=True)
class Submission:
    """A job that spark-submit has been told to run on YARN.

    Attributes:
        process: spark-submit.
        log: What it prints.
    """

    process: subprocess.Popen
    log: Path

    @property
    def application(self) -> str:
        """The application's id; empty before there is one."""
        found = re.search(r"application_\d+_\d+", self.log.read_text())
        return found[0] if found else ""

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Returns once a state is reached; the job must not end before."""
        deadline = time.monotonic() + MOST_SECONDS
        while not reached():
            assert self.process.poll() is None, f"over before: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"waited in vain: {self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def kill(self, mark: str) -> None:
        """Kills, as soon as there are any, the processes of its containers with a mark in their command line."""

        def killed() -> bool:
            found = processes_in(self.application, mark)
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return bool(found)

        self.wait_for(killed)

    def end(self) -> int:
        """Waits for the end of spark-submit, and gives its exit code."""
        return self.process.wait(MOST_SECONDS)


DRIVER_JVM = "deploy.yarn.ApplicationMaster"
EXECUTOR = "YarnCoarseGrainedExecutorBackend"
WORKER = "python_daemon"


def processes_in(application: str, mark: str) -> list[int]:
    """Lists the processes in an application's containers with a mark in their command line, but for shells."""
    number = application.removeprefix("application")
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and number and f"{number}_".encode() in (entry / "environ").read_bytes():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if mark in command and not command.startswith(("bash", "/bin/bash")):
                    found.append(int(entry.name))
    return sorted(found)


@contextmanager
def submitted(
    installation: OnYarn, mode: str, *options: object, job: str = "curate", settings: tuple[str, ...] = ()
) -> Iterator[Submission]:
    """Starts a job on YARN; ends spark-submit and the application at last."""
    given = [*installation.settings(mode), *settings]
    command = installation.submit_command(MASTER, job, *options, settings=given)
    log = installation.folder / "submit.txt"
    process = installation.start(command, log)
    submission = Submission(process, log)
    try:
        yield submission
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
            if submission.application:
                installation.yarn.kill(submission.application)


def on_yarn(installation: Installation, yarn: YarnServer) -> OnYarn:
    """Lets an installation's jobs run on a YARN."""
    return OnYarn(installation.python, installation.site_packages, installation.folder, yarn)
