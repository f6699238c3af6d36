"""The packed environment: what `make pack` builds serves executors that have no Python of ours."""

import ast
import shutil
import subprocess
import sys
import tarfile

import pytest

from tests.end_to_end.command import BALANCE, LOCAL_CLUSTER, SAMPLE
from tests.support.jobs import CHECKOUT, content

# An archive of some hundred megabytes is built and shipped: run by `make test-pack`.
pytestmark = pytest.mark.slow

WHERE = """
import sys
from pyspark.sql import SparkSession
context = SparkSession.builder.getOrCreate().sparkContext


def look(_):
    from udfs.kernels import warm

    return f"{warm()} {sys.prefix}"


print("PREFIXES", sorted(set(context.parallelize(range(4), 4).map(look).collect())))
"""


def test_the_pack_imports_what_workers_need_from_any_folder_and_without_our_python(pack, tmp_path):
    with tarfile.open(pack) as archive:
        archive.extractall(tmp_path / "elsewhere", filter="tar")
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "elsewhere", moved)
    code = "import sys, udfs.kernels, hdfs_native, pandas; print(udfs.kernels.warm(), sys.prefix)"
    zipped = tmp_path / "metaclip_spark.zip"
    subprocess.run([sys.executable, CHECKOUT / ".ci" / "build_zip.py", zipped], check=True, cwd=CHECKOUT)
    done = subprocess.run(
        [moved / "bin" / "python", "-c", code],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(zipped), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == f"shipped {moved.resolve()}"
    assert not list(tmp_path.glob(".cache/**/*.nbc"))


def test_executors_run_on_the_pack(pack, newest, reference):
    settings = (
        "spark.python.daemon.module=pyspark.daemon",
        f"spark.archives={pack}#environment",
        "spark.pyspark.python=./environment/bin/python",
        # The archive is unpacked for executors only; a driver on this machine has its own Python.
        f"spark.pyspark.driver.python={newest.python}",
    )
    environment = {name: value for name, value in newest.environment().items() if not name.startswith("PYSPARK")}
    script = newest.folder / "where.py"
    script.write_text(WHERE)

    def submit(*command: str) -> str:
        done = subprocess.run(
            command, cwd=newest.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    prefix = newest.submit_command(LOCAL_CLUSTER, "curate", settings=settings)[:-1]
    shown = submit(*prefix, str(script))
    prefixes = ast.literal_eval(shown.partition("PREFIXES ")[2].splitlines()[0])
    assert prefixes
    assert all(found.startswith("shipped ") and found.endswith("/environment") for found in prefixes), prefixes
    output = newest.folder / "packed"
    submit(*prefix, str(newest.folder / "jobs" / "curate.py"), "--archives", str(SAMPLE), *map(str, BALANCE),
           "--output", str(output))  # fmt: skip
    assert content(output) == reference
