"""Whether what a job needs is installed: without it a job can still show its help and check its options."""

import importlib.util

from metaclip_spark.errors import ConfigError, joined

_NEEDED = ("torch", "open_clip", "safetensors", "webdataset", "sklearn", "scipy")


def require_extra() -> None:
    """Checks for what training needs."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"the CLIP benchmark needs {', '.join(missing)}: pip install '.[spark,benchmark]'")


def require_trackers(tensorboard: str | None, wandb: str | None) -> None:
    """Checks for the packages of the trackers that are asked for, which no extra brings."""
    for package, asked in (("tensorboard", tensorboard), ("wandb", wandb)):
        if asked is not None and importlib.util.find_spec(package) is None:
            raise ConfigError(f"--{package} is {asked}, but {package} is not installed: pip install {package}")


def require_packages(asked: str, *packages: str) -> None:
    """Checks for packages that only some trainings need, such as one that reads from a store.

    Raises:
        ConfigError: If one is missing; the message begins with what is `asked` for.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"{asked} needs {joined(missing)} here: pip install {' '.join(missing)}")
