"""The job from its zip, outside the checkout, on two executors and on both Spark lines."""

import os
import subprocess

import pytest

from tests.driver.jobs import content, run_json
from tests.end_to_end.command import BALANCE, LOCAL, LOCAL_CLUSTER, SAMPLE, install_outside

ARCHIVES = ("--archives", SAMPLE)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The second Spark line, with the project's zip only."""
    return install_outside(tmp_path_factory.mktemp("second"), os.environ["METACLIP_SPARK35_PYTHON"])


def test_the_project_is_not_installed_there(newest):
    found = subprocess.run([newest.python, "-c", "import udfs"], capture_output=True, text=True, check=False, cwd="/")
    assert "ModuleNotFoundError" in found.stderr


def test_executors_get_it_from_the_zip(newest, reference):
    output = newest.folder / "cluster"
    newest.submit(LOCAL_CLUSTER, "curate", *ARCHIVES, *BALANCE, "--output", output)
    assert content(output) == reference
    assert run_json(output)["status"] == "done"


@pytest.mark.skipif(
    "METACLIP_SPARK35_PYTHON" not in os.environ, reason="METACLIP_SPARK35_PYTHON names no Python with Spark 3.5"
)
@pytest.mark.parametrize("master", [LOCAL, LOCAL_CLUSTER])
def test_the_second_spark_line_gives_the_same(second, reference, tmp_path, master):
    second.submit(master, "curate", *ARCHIVES, *BALANCE, "--output", tmp_path / "out")
    assert content(tmp_path / "out") == reference
    assert run_json(tmp_path / "out")["versions"]["pyspark"].startswith("3.5.")
