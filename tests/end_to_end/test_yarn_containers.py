"""What a container of YARN can lack: memory, the right Python, a Python on each node. Run by `make test-yarn`."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.cluster.yarn_server import yarn_server
from tests.end_to_end.command import BALANCE, SAMPLE
from tests.end_to_end.yarn import OnYarn, on_yarn, submitted
from tests.support.archive_files import http_response, warc_record

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]

ONE_TRY = ("spark.task.maxFailures=1", "spark.yarn.maxAppAttempts=1")


def last_line(installation: OnYarn, mode: str, output: str, *options: object, **more: object) -> str:
    """Runs a job that fails, and gives the one line that tells why."""
    with submitted(installation, mode, *options, *BALANCE, "--output", output, **more) as job:
        assert job.end() == 1
        told = job.log
        if mode == "cluster":
            told = installation.yarn.drivers(job.application)[1] / "stdout"
        lines = told.read_text().splitlines()
    assert len([line for line in lines if line.startswith("error: ")]) == 1, lines[-20:]
    return next(line for line in reversed(lines) if line.startswith("error: "))


def test_a_page_too_large_for_a_container_is_told_with_the_setting(installation, hdfs, tmp_path):
    # An image where a table has no cell: only a tree of the whole page tells where browsers put it.
    page = b"<table><img src=a.jpg alt=dog>" + b"<p>" * 10_000_000
    record = gzip.compress(warc_record(http_response(page)), compresslevel=1)
    archive = tmp_path / "large.warc.gz"
    # A node looks at its containers now and then: one page may have been read in between.
    archive.write_bytes(3 * record)
    small = ("spark.executor.instances=1", "spark.executor.memory=512m", "spark.executor.memoryOverhead=256m")
    told = last_line(
        installation, "cluster", hdfs.new_folder(), "--archives", archive, settings=(*small, *ONE_TRY)
    )  # fmt: skip
    assert "exceeding physical memory limits" in told
    assert "(give a larger --conf spark.executor.memoryOverhead" in told


def pack_of(python: bytes, folder: Path) -> Path:
    """Makes a pack that holds nothing but an interpreter."""
    program = folder / "python"
    program.write_bytes(python)
    program.chmod(0o755)
    pack = folder / "pack.tar.gz"
    with tarfile.open(pack, "w:gz") as archive:
        archive.add(program, "bin/python")
    return pack


def of_another_platform() -> bytes:
    """An interpreter as another processor's: the start of one of this machine with the other's number."""
    start = bytearray(Path(os.path.realpath(shutil.which("sh"))).read_bytes()[:4096])
    start[18:20] = b"\xf3\x00"  # RISC-V
    return bytes(start)


def of_another_version() -> bytes:
    """A script that starts another Python; the test is skipped where there is none."""
    for name in ("python3.12", "python3.13", "python3.11"):
        # A name on the path may be that of a version manager which has no such Python.
        asked = [shutil.which(name) or "false", "-c", "import sys; print(sys.executable, sys.version_info[:2])"]
        found, _, version = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition(" ")
        if found and version.strip() != str(sys.version_info[:2]):
            return f'#!/bin/sh\nexec {found} "$@"\n'.encode()
    pytest.skip("no second version of Python is on the path")


@pytest.mark.parametrize(
    ("python", "told"),
    [
        (of_another_platform, "(the executors' Python does not start: its platform must be theirs"),
        (of_another_version, "give the driver's minor version, or a pack of it)"),
    ],
)
def test_a_pack_for_another_python_is_told(installation, hdfs, tmp_path, python, told):
    settings = (
        f"spark.archives={pack_of(python(), tmp_path)}#environment",
        "spark.pyspark.python=./environment/bin/python",
        f"spark.pyspark.driver.python={installation.python}",
        "spark.python.daemon.module=pyspark.daemon",
        *ONE_TRY,
    )
    line = last_line(installation, "client", hdfs.new_folder(), "--archives", SAMPLE, settings=settings)
    assert line.startswith("error: a Spark job failed: ")
    assert told in line


def test_a_python_that_one_node_lacks_is_found_by_the_check(newest, hdfs, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("nodes with folders of their own take root")
    folder = tmp_path_factory.mktemp("environment")
    program = folder / "bin" / "python"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {newest.python} "$@"\n')
    program.chmod(0o755)
    with yarn_server(tmp_path_factory.mktemp("nodes"), hdfs, nodes=2, missing=folder) as yarn:
        installation = on_yarn(newest, yarn)
        # So large that each node has room for one executor.
        settings = (f"spark.pyspark.python={program}", f"spark.pyspark.driver.python={newest.python}")
        settings += ("spark.executor.memory=4500m", *ONE_TRY)
        line = last_line(
            installation, "client", hdfs.new_folder(), "--archives", SAMPLE, job="check_cluster", settings=settings
        )  # fmt: skip
    assert f'Cannot run program "{program}"' in line
    assert "that Python is missing on a machine" in line
