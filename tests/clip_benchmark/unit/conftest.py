import pytest
import torch

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from tests.clip_benchmark.small_shards import write_shards


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def config(shards, tmp_path):
    def make(variant="clip", **options):
        given = {"model_size": "unit", "steps": 6, "warmup_steps": 2, "queue_size": 16, "output": str(tmp_path / "run")}
        return TrainingConfig(variant=variant, train_shards=str(shards), **(given | options))

    return make
