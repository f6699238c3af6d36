"""Runs the job as users do: as a process of its own, from the zip, outside the checkout. Used by the tests."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
BALANCE = ("--metadata", CHECKOUT / "tests/data/wordnet_lemmas.txt.gz", "--threshold-t", "20", "--seed", "5")
SAMPLE = CHECKOUT / "tests" / "data" / "sample"
LOCAL = "local[2,4]"
LOCAL_CLUSTER = "local-cluster[2,1,1024]"
MOST_SECONDS = 600
"""So long on two cores that others keep busy; some 30 s on quiet ones."""


@dataclass(frozen=True)
class Installation:
    """A Python that has the dependencies and not the project, and the zip that brings it.

    Attributes:
        python: The interpreter.
        site_packages: Where its packages lie.
        folder: Where jobs are run from; it holds `jobs/` and the zip.
    """

    python: Path
    site_packages: Path
    folder: Path

    def submit(
        self, master: str, job: str, *options: object, settings: Sequence[str] = ()
    ) -> subprocess.CompletedProcess:
        """Runs a job with spark-submit, settings of its own and the zip, and fails with its output if it fails."""
        command = self.submit_command(master, job, *options, settings=settings)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done

    def start(self, command: Sequence[str], log: Path) -> subprocess.Popen:
        """Starts a command as the first process of a session of its own, with all its output in a file."""
        with log.open("w") as output:
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdout=output, stderr=output, start_new_session=True
            )

    def submit_command(self, master: str, job: str, *options: object, settings: Sequence[str] = ()) -> list[str]:
        """Gives the command line of a job."""
        submit = self.site_packages / "pyspark" / "bin" / "spark-submit"
        usual = (
            "spark.ui.enabled=false",
            "spark.driver.host=127.0.0.1",
            "spark.driver.bindAddress=127.0.0.1",
            "spark.python.daemon.module=python_daemon",
        )
        configured = [part for setting in (*usual, *settings) for part in ("--conf", setting)]
        script = self.folder / "jobs" / f"{job}.py"
        return [
            *("bash", str(submit), "--master", master, *configured, "--py-files", "metaclip_spark.zip", str(script)),
            *map(str, options),
        ]

    def environment(self) -> dict[str, str]:
        """Gives the environment of a job: nothing of the checkout is on its path."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SPARK", "PYSPARK"))
        }
        python = str(self.python)
        return {
            **kept,
            "PYSPARK_PYTHON": python,
            "PYSPARK_DRIVER_PYTHON": python,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "HOME": str(self.folder),
            # What the tests beside them have compiled already, of the same sources.
            "NUMBA_CACHE_DIR": str(CHECKOUT / "udfs" / "__pycache__"),
            "SPARK_HOME": str(self.site_packages / "pyspark"),
        }


@contextmanager
def standalone_cluster(installation: Installation, workers: int = 2) -> Iterator[str]:
    """Runs a standalone master and workers of one core each on loopback addresses, and gives the master's URL.

    Each worker has an address of its own: Spark runs no second copy of a task on the host that has the first one.
    """
    classes = installation.site_packages / "pyspark" / "bin" / "spark-class"
    package = "org.apache.spark.deploy"
    environment = installation.environment() | {"SPARK_LOCAL_HOSTNAME": "127.0.0.1"}
    processes = []

    def start(name: str, *arguments: object) -> Path:
        log = installation.folder / f"{len(processes)}-{name}.txt"
        command = ["bash", str(classes), f"{package}.{name.lower()}.{name}", *map(str, arguments)]
        with log.open("w") as file:
            processes.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file))
        return log

    def said(log: Path, pattern: str) -> str:
        deadline = time.monotonic() + 600
        while not (found := re.search(pattern, log.read_text())):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        return found[0]

    try:
        log = start("Master", "--host", "127.0.0.1", "--port", 0, "--webui-port", 0)
        master = said(log, r"spark://127\.0\.0\.1:[1-9]\d*")
        given = ("--cores", 1, "--memory", "1g", "--webui-port", 0, "--work-dir")
        logs = [
            start("Worker", "--host", f"127.0.0.{each}", *given, installation.folder / f"worker{each}", master)
            for each in range(1, workers + 1)
        ]
        for log in logs:
            said(log, "Successfully registered with master")
        yield master
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def install_outside(folder: Path, python: str | None = None) -> Installation:
    """Makes an installation without the project.

    The project is installed in place in the test environments. A path file of a new environment that names their
    site-packages brings all packages but that one, since path files within a named folder are not followed.
    """
    base = Path(python or sys.executable)
    question = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = sysconfig.get_path("purelib")
    if python:
        packages = subprocess.run([base, "-c", question], capture_output=True, text=True, check=True).stdout.strip()
    venv.create(folder / "python", with_pip=False, symlinks=True)
    own = next((folder / "python" / "lib").glob("python3*")) / "site-packages"
    (own / "dependencies.pth").write_text(f"{packages}\n")
    # Half of the time of workers on a small input goes into Spark's archives.
    shutil.copy(CHECKOUT / "metaclip_spark" / "stores" / "python_daemon.py", own)
    shutil.copytree(CHECKOUT / "jobs", folder / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    zip_path = folder / "metaclip_spark.zip"
    subprocess.run([sys.executable, CHECKOUT / ".ci" / "build_zip.py", zip_path], check=True, cwd=CHECKOUT)
    return Installation(folder / "python" / "bin" / "python", Path(packages), folder)
