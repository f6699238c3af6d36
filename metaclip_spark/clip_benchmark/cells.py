"""The grid of training runs: which cells there are, and which are done.

A cell is one training run. Its result is one row in a Parquet file of its own, put whole when the cell is done; a
killed run goes on with the cells that have none.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.clip_benchmark.files import put_table
from metaclip_spark.clip_benchmark.settings.model_sizes import MODEL_SIZES
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS
from metaclip_spark.config.curation import digest
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError

ARMS = ("random", "matched", "balanced", "all")
CAPTION_KINDS = ("v1", "v2")
CELLS_FOLDER = "cells"
RESULTS_FILE = "results.parquet"
PRIMARY_SEEDS = 5
OTHER_SEEDS = 3


@dataclass(frozen=True, order=True)
class Cell:
    """One training run.

    Attributes:
        variant: Supervision.
        image_tower: vit or resnet.
        arm: Which pairs.
        caption_kind: v1, the pool's captions; v2, the filtered ones.
        text_depth: Layers of the text tower; 0 for the model size's own.
        preset: clean or published.
        model_size: unit, tiny, small or full.
        seed: Of the initial weights, the order of samples, and the sampling of the arm.
    """

    variant: str = "clip"
    image_tower: str = "vit"
    arm: str = "all"
    caption_kind: str = "v2"
    text_depth: int = 0
    preset: str = "clean"
    model_size: str = "tiny"
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If a value is unknown.
        """
        known = {
            "variant": VARIANTS,
            "image_tower": IMAGE_TOWERS,
            "arm": ARMS,
            "caption_kind": CAPTION_KINDS,
            "preset": PRESETS,
            "model_size": MODEL_SIZES,
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: it must be one of {', '.join(values)}")
        if self.text_depth < 0 or self.seed < 0:
            raise ConfigError(f"text_depth {self.text_depth} and seed {self.seed} must be at least 0")

    @property
    def name(self) -> str:
        """A name for folders and files."""
        depth = f"text{self.text_depth}" if self.text_depth else "text"
        return "-".join(
            (
                self.variant,
                self.image_tower,
                self.arm,
                self.caption_kind,
                depth,
                self.preset,
                self.model_size,
                f"seed{self.seed}",
            )
        )

    @property
    def setting(self) -> tuple[str, ...]:
        """The cell without its seed."""
        return tuple(str(getattr(self, item.name)) for item in fields(self) if item.name != "seed")


def expand(values: Mapping[str, Iterable[Any]]) -> list[Cell]:
    """Gives every cell of a product.

    Args:
        values: Field of `Cell` -> its values; a field that is left out has its default.

    Returns:
        The cells, each once, ordered by seed first, so that a grid cut short has whole seeds.
    """
    product = itertools.product(*values.values())
    return by_seed(Cell(**dict(zip(values, chosen, strict=True))) for chosen in product)


def by_seed(cells: Iterable[Cell]) -> list[Cell]:
    """Orders distinct cells by seed first."""
    return sorted(set(cells), key=lambda cell: (cell.seed, cell))


def data_arms(seeds: Sequence[int], model_size: str = "tiny") -> list[Cell]:
    """Gives the primary comparison: one learner on the four data arms of the pool's own captions."""
    return expand({"arm": ARMS, "caption_kind": ("v1",), "model_size": (model_size,), "seed": seeds})


def fractional(
    seeds: Sequence[int], model_size: str = "tiny", primary_seeds: Sequence[int] = (), own_depth: int = 2
) -> list[Cell]:
    """Gives a grid that shows each effect without the whole product.

    All variants on both towers; three variants on both kinds of captions; three depths of the text tower for two
    variants; the two presets for FILIP; the data arms.

    Args:
        seeds: Of all but the data arms.
        model_size: The models' size.
        primary_seeds: Of the data arms; as `seeds` where empty.
        own_depth: Text layers that the model size has by itself, which are not asked for once more.

    Returns:
        The cells, each once, by seed first.
    """
    depths = [0 if depth == own_depth else depth for depth in (1, 2, 4)]
    base: dict[str, Iterable[Any]] = {"model_size": (model_size,), "seed": tuple(seeds)}
    parts = [
        expand({"variant": VARIANTS, "image_tower": IMAGE_TOWERS, **base}),
        expand({"variant": ("clip", "declip", "defilip"), "caption_kind": CAPTION_KINDS, **base}),
        expand({"variant": ("clip", "declip"), "text_depth": depths, **base}),
        expand({"variant": ("filip",), "preset": PRESETS, **base}),
        data_arms(primary_seeds or seeds, model_size),
    ]
    return by_seed(itertools.chain.from_iterable(parts))


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    settings: Mapping[str, Any],
    run: Callable[[Cell], Mapping[str, Any]],
    say: Callable[[str], None] = lambda _line: None,
) -> list[dict[str, Any]]:
    """Runs the cells that are not done, one after another, and stores a row of each.

    Args:
        cells: What to run, in this order.
        folder: Where rows are kept: cells/<name>.parquet, and all of them in results.parquet.
        settings: What holds for all cells (steps, data, ...): JSON-ready. Rows that were made with other settings are
            refused, never mixed.
        run: Trains and evaluates one cell; gives what its row holds besides.
        say: Takes a line of progress.

    Returns:
        The rows of these cells, in their order.

    Raises:
        OutputExistsError: If a row was made with other settings.
    """
    rows = []
    settings_digest = digest(dict(settings))
    for place, cell in enumerate(cells):
        path = folder / CELLS_FOLDER / f"{cell.name}.parquet"
        row = _row_of(path)
        if row is None:
            say(f"{place + 1} of {len(cells)}: {cell.name}")
            row = {**asdict(cell), "cell": cell.name, "settings_digest": settings_digest, **run(cell)}
            write_rows([row], path)
        elif row["settings_digest"] != settings_digest:
            raise OutputExistsError(
                f"{path} was made with other settings (steps, data, batch): give another --output, or the same ones"
            )
        rows.append(row)
    write_rows(read_rows(folder), folder / RESULTS_FILE)
    return rows


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Reads the rows of all finished cells, by file name.

    Args:
        folder: The grid's folder.

    Returns:
        The rows, with nested values as they were given.
    """
    rows = (_row_of(path) for path in sorted((folder / CELLS_FOLDER).glob("*.parquet")))
    return [row for row in rows if row is not None]


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Puts rows as a Parquet file, whole or not at all; values that are lists or objects as JSON text.

    Args:
        rows: They may have different columns; what a row lacks is null.
        path: The file.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    flat = [{name: _flat(row.get(name)) for name in names} for row in rows]
    put_table(path, pa.Table.from_pylist(flat))


def _row_of(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        (row,) = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        raise InputError(f"{path} is no row of a finished cell: delete it, and the cell runs again") from None
    return {name: _nested(value) for name, value in row.items()}


def _flat(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value


def _nested(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "["} else value
