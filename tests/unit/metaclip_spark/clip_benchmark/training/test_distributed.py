"""Two processes that Spark started, here and in barrier tasks, or that came without it, give the same bits."""

import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.checkpoints import latest
from metaclip_spark.clip_benchmark.training.distributed import train_distributed
from metaclip_spark.clip_benchmark.training.train import TOTAL
from metaclip_spark.stores.session import get_session
from tests.support.clip_benchmark.two_processes import train_in_two


@pytest.fixture(scope="module")
def spark():
    session = get_session("clip benchmark tests")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def config(shards, tmp_path_factory):
    sizes = {"model_size": "unit", "steps": 4, "warmup_steps": 2, "queue_size": 16, "batch_size": 4}
    output = tmp_path_factory.mktemp("distributed") / "whole"
    return TrainingConfig("declip", str(shards), str(output), processes=2, **sizes)


@pytest.fixture(scope="module")
def whole(spark, config):
    return train_distributed(config, spark, local_mode=False)


def test_spark_starts_the_processes_in_barrier_tasks(whole):
    assert len(whole.losses[TOTAL]) == 4
    files = sorted(path.name for path in whole.checkpoint.iterdir())
    assert files == ["model.pt", "rank-00000.pt", "rank-00001.pt"]


def test_processes_that_were_stopped_go_on(spark, config, whole, tmp_path):
    parts = replace(config, output=str(tmp_path / "parts"))
    train_in_two(replace(parts, stop_at_step=2), tmp_path)
    assert latest(parts.output).name == "checkpoint-00000002"
    resumed = train_distributed(parts, spark)
    assert repr(resumed.losses) == repr(whole.losses)
    assert resumed.diagnostics == whole.diagnostics


def test_a_process_that_only_passes_a_result_on_imports_no_torch(whole):
    told = (
        "import pickle, sys; import metaclip_spark.clip_benchmark.training.distributed; "
        "result = pickle.load(sys.stdin.buffer); print(len(result.losses), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", told], input=pickle.dumps(whole), capture_output=True, check=True)
    assert done.stdout.split() == [str(len(whole.losses)).encode(), b"False"]
