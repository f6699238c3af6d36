"""What is scored, on which pictures, and what is exported."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from metaclip_spark.clip_benchmark.settings.data_config import check_local
from metaclip_spark.clip_benchmark.settings.training_config import Device
from metaclip_spark.config.fields import PATH, PositiveInt, check_types
from metaclip_spark.errors import ConfigError

Figure = Literal["zero_shot", "retrieval", "linear_probe"]
FIGURES: tuple[Figure, ...] = get_args(Figure)


@dataclass(frozen=True)
class ScoringConfig:
    """What is scored, and on which pictures.

    Attributes:
        data: A test folder of ours, a folder with a folder of pictures for each class, or a webdataset folder as
            LAION's CLIP_benchmark reads it.
        checkpoint: Folder of a checkpoint of ours, or of a run for its newest one.
        model: A model of open_clip instead, by its name, or local-dir:FOLDER for an exported one.
        pretrained: File of the model's weights; nothing is downloaded.
        templates: File with a prompt a line, with {} for the class; without it those of the data, or open_clip's 80.
        output: JSON file for the figures; one that is there is replaced.
        figures: What is measured, where the data has labels (zero_shot, linear_probe) or captions (retrieval).
        device: cpu or cuda.
        threads: CPU threads, of the model and of the reading of pictures.
    """

    data: str = field(metadata=PATH)
    checkpoint: str | None = field(default=None, metadata=PATH)
    model: str | None = None
    pretrained: str | None = field(default=None, metadata=PATH)
    templates: str | None = field(default=None, metadata=PATH)
    output: str | None = field(default=None, metadata=PATH)
    figures: tuple[Figure, ...] = FIGURES
    device: Device = "cpu"
    threads: PositiveInt = 4

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.figures == ():
            object.__setattr__(self, "figures", FIGURES)
        check_types(self)
        check_local(self, "data", "checkpoint", "pretrained", "templates", "output")
        self._check_model()
        if self.output is not None and (Path(self.output).suffix != ".json" or Path(self.output).is_dir()):
            raise ConfigError(f"--output {self.output} must be a file whose name ends with .json")

    def _check_model(self) -> None:
        if (self.checkpoint is None) == (self.model is None):
            raise ConfigError(
                "give either --checkpoint, a folder of ours, or --model, a name that open_clip knows, with --pretrained"
            )
        in_folder = (self.model or "").startswith("local-dir:")
        if self.model is not None and not in_folder and self.pretrained is None:
            raise ConfigError(f"--model {self.model} needs --pretrained, the file of its weights")
        if self.pretrained is not None and (self.checkpoint is not None or in_folder):
            raise ConfigError(
                f"--pretrained {self.pretrained} goes with a name for --model: a folder has weights of its own"
            )


@dataclass(frozen=True)
class ExportConfig:
    """What is exported.

    Attributes:
        checkpoint: Folder of a checkpoint, or of a run for its newest one.
        output: Folder for the model; open_clip loads it by local-dir:FOLDER.
        overwrite: Replace the model that is there.
    """

    checkpoint: str = field(metadata=PATH)
    output: str = field(metadata=PATH)
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        check_local(self, "checkpoint", "output")
