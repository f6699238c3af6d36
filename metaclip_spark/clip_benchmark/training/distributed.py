"""Trains in several processes that Spark's TorchDistributor starts."""

from typing import cast

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.result import TrainingResult


def train_distributed(config: TrainingConfig, spark: SparkSession, *, local_mode: bool = True) -> TrainingResult:
    """Trains in as many processes as the configuration says, started by Spark.

    Args:
        config: The run.
        spark: The active session.
        local_mode: Start them on the driver's machine; else in barrier tasks on the executors, which all need this
            package, torch, the shards and the output folder at the same paths.

    Returns:
        The result of one of them.
    """

    # A function in a function is pickled whole: Spark's Python workers, which only pass it on, import no torch for it.
    def train_here() -> TrainingResult:
        from metaclip_spark.clip_benchmark.training.train import train  # noqa: PLC0415 - as said above

        return train(config)

    spark.sparkContext.setJobDescription(f"train {config.variant} in {config.processes} processes")
    distributor = TorchDistributor(config.processes, local_mode=local_mode, use_gpu=config.device == "cuda")
    return cast("TrainingResult", distributor.run(train_here))
