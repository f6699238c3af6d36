"""The benchmark's tests run where the extra `benchmark` is installed; there a skipped test is a failure."""

import importlib.util
import sys

import pytest

# `make test` collects everything with the environment that has no torch.
collect_ignore_glob = ["*"] if importlib.util.find_spec("torch") is None else []

GPU_TESTS = "clip_benchmark/gpu"
"""The folder whose tests are skipped where there is no GPU, as in CI."""

LONGEST = {"test_distributed.py", "test_full_recipe.py", "test_train.py", "test_benchmark_job.py"}


def pytest_collection_modifyitems(items):
    """Begins with the longest files, so that two processes end together."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def failed_if_skipped(report):
    needs_gpu = f"{GPU_TESTS}/" in report.nodeid
    if report.skipped and not needs_gpu and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return failed_if_skipped((yield))


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    from tests.support.clip_benchmark.small_shards import write_shards

    return write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def config(shards, tmp_path):
    from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig

    def make(variant="clip", **options):
        given = {"model_size": "unit", "steps": 6, "warmup_steps": 2, "queue_size": 16, "output": str(tmp_path / "run")}
        return TrainingConfig(variant=variant, train_shards=str(shards), **(given | options))

    return make


@pytest.fixture
def wandb_stand_in(tmp_path_factory, monkeypatch):
    from tests.support.paths import CHECKOUT

    packages = tmp_path_factory.mktemp("packages")
    (packages / "wandb.py").symlink_to(CHECKOUT / "tests/support/clip_benchmark/wandb_stand_in.py")
    monkeypatch.syspath_prepend(str(packages))
    yield
    sys.modules.pop("wandb", None)
