"""Training, scoring and export run with little more than torch: neither Spark nor a client of stores nor a kernel."""

import json
import os
import subprocess
import sys
import tomllib

import pytest

from tests.support.clip_benchmark.scored_sets import image_folder
from tests.support.clip_benchmark.small_shards import write_shards
from tests.support.paths import CHECKOUT

NEEDED = {"docstring-parser", "idna", "jsonargparse", "numpy", "rich"}
"""What training needs of the package's own dependencies, beside the extra `benchmark`, or that extra brings along."""

IMPORTED_AS = {
    "pyahocorasick": ["ahocorasick"],
    "boto3": ["boto3", "botocore", "s3transfer"],
    "pyspark": ["pyspark", "py4j"],
}
"""A dependency -> the modules that come with it, where their name is another, or there are more."""

PROGRAM = """
import json, sys
from importlib.machinery import PathFinder

blocked, asked = json.loads(sys.argv[1]), json.loads(sys.argv[2])
trained, scored, exported, refused = asked

class PlainNode(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else super().find_spec(name, path, target)

sys.meta_path = [PlainNode if finder is PathFinder else finder for finder in sys.meta_path]
from metaclip_spark.clip_benchmark.training.train import main
from metaclip_spark.commands.clip_scoring import evaluate_clip, export_clip

print([main(trained), evaluate_clip(scored), export_clip(exported), main(refused)])
assert not sys.modules.keys() & set(blocked)
"""


def blocked():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["spark"]]
    names = [requirement.split(">")[0].split("=")[0] for requirement in named]
    assert set(names) > NEEDED
    modules = [IMPORTED_AS.get(name, [name.replace("-", "_")]) for name in names if name not in NEEDED]
    return sorted({module for each in modules for module in each})


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Trains in a process of its own, and asks for a GPU where none is."""
    folder = tmp_path_factory.mktemp("plain")
    shards = write_shards(folder / "shards", samples=48)
    options = ["--variant", "clip", "--train-shards", str(shards), "--output", str(folder / "run")]
    options += [
        "--model-size",
        "unit",
        "--steps",
        "100",
        "--warmup-steps",
        "2",
        "--queue-size",
        "16",
        "--batch-size",
        "4",
    ]
    tests, run, as_json = image_folder(folder / "tests"), str(folder / "run"), ["--log-format", "json"]
    asked = [
        [*options, *as_json],
        ["--data", str(tests), "--checkpoint", run, "--output", str(folder / "scores.json"), *as_json],
        ["--checkpoint", run, "--output", str(folder / "exported"), *as_json],
        [*options, "--device", "cuda"],
    ]
    program = [sys.executable, "-c", PROGRAM, json.dumps(blocked()), json.dumps(asked)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_training_scoring_and_export_need_neither_spark_nor_clients_of_stores(told):
    assert told.stdout.splitlines()[-1] == "[0, 0, 0, 2]"
    assert {"pyspark", "py4j", "boto3", "botocore", "ahocorasick", "zstandard", "fastwarc", "pyarrow"} <= set(blocked())


def test_the_log_tells_each_hundred_steps_as_json(told):
    *logged, refused = told.stderr.splitlines()
    (line,) = [line for line in map(json.loads, logged) if line["event"] == "progress"]
    assert line["message"].startswith("step 100 of 100: contrast ")
    assert set(line["progress"]["losses"]) == {"contrast", "total"}
    result = json.loads(told.stdout.splitlines()[0])
    assert (result["event"], set(result["losses"])) == ("result", set(line["progress"]["losses"]))
    assert not refused.startswith("{")


def test_a_gpu_that_is_not_there_is_told_in_one_line(told):
    last = told.stderr.splitlines()[-1]
    assert last.startswith("error: --device is cuda, but torch ")
    assert "finds no GPU: give cpu" in last
    assert "Traceback" not in told.stderr
