"""Whether what a job needs is installed: without it a job can still show its help and check its options."""

import importlib.util

from metaclip_spark.errors import ConfigError

_NEEDED = ("torch", "open_clip", "safetensors", "webdataset", "sklearn", "scipy")


def require_extra() -> None:
    """Checks for what training needs."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the CLIP benchmark needs {', '.join(missing)}: pip install 'metaclip-spark[spark,benchmark]'"
        )


def require_trackers(tensorboard: str | None, wandb: str | None) -> None:
    """Checks for the packages of the trackers that are asked for, which no extra brings."""
    for package, asked in (("tensorboard", tensorboard), ("wandb", wandb)):
        if asked is not None and importlib.util.find_spec(package) is None:
            raise ConfigError(f"--{package} is {asked}, but {package} is not installed: pip install {package}")
