"""Data arms: sets of pairs that differ in one thing each, made by this package's own curation.

    random    pairs drawn from the pool             -> matched - random   is what filtering gives
    matched   pairs drawn from the matched pairs    -> balanced - matched is what balancing gives
    balanced  the curated set                       -> balanced - random  is what curation gives
    online    the matched pairs, of which each epoch draws a curated set of its own, the first one that of balanced
                                                    -> online - balanced  is what drawing anew gives
    all       the whole pool (its file, as it is)   -> all - random       is what size gives

The first three have equally many pairs, as an epoch of online is expected to have; all see equally many samples. The
sampling seed is the training seed, so that the spread over seeds has the draw of the data in it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metaclip_spark.clip_benchmark.data.pools.captions import filter_captions
from metaclip_spark.clip_benchmark.settings.data_config import ArmsConfig
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.config.fields import check_made_with, digest
from metaclip_spark.entries import load_metadata
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.pipeline import run_count, run_extract, run_match, run_sample
from metaclip_spark.reports.explain.curation import read_curation
from metaclip_spark.runs.open import begin_run
from metaclip_spark.runs.paths import find_inputs, table_folders
from metaclip_spark.runs.run import Run
from metaclip_spark.stores.storage import Storage
from udfs.balancing.draw import pair_draws
from udfs.schemas import MATCHED

ARMS_FILE = "arms.json"
_COLUMNS = ["pair_id", "image_url", "alt_text"]
_STREAMS = {"random": 1, "matched": 2}
"""Added to the seed's upper bits: no arm's draw may repeat another's, or the curation's own."""


def make_arms(config: ArmsConfig, seeds: Sequence[int]) -> dict[str, Any]:
    """Makes the arms of equal size for each sampling seed, as `<output>/seed<seed>/<arm>.parquet`.

    Returns:
        What arms.json holds: the pairs of each arm by seed, of pool and matched, and what the caption filter left out.

    Raises:
        ConfigError: If arms with other settings are there, or too few pairs match.
        InputError: If the pool cannot be read.
    """
    folder = Path(config.output)
    settings = {"caption_kind": config.caption_kind, "arm_share": config.arm_share, "pool_digest": _digest_of(config)}
    made = _made_before(folder, settings)
    # Earlier versions made no arm online.
    pending = [
        seed for seed in seeds if str(seed) not in made["sizes"] or not arm_file(folder, seed, "online").exists()
    ]
    if not pending:
        return made
    pool_file, made["filtered"] = filtered_pool(config)
    output = OutputConfig(output=str(folder / "run"), resume=True)
    extract = ExtractConfig(pool=(str(pool_file),), url_column="image_url", text_column="alt_text")
    metadata = load_metadata(config.metadata)
    paths = find_inputs(extract)
    with begin_run(output, "arms", [*(path for _, path in paths), config.metadata]) as run:
        run_extract(run, extract, paths)
        run_match(run, MatchConfig(metadata=config.metadata), LanguageConfig(), metadata)
        run_count(run, LanguageConfig(), metadata)
        pool, matched = _table(run, "pool"), _table(run, "matched", MATCHED.names)
        target = round(config.arm_share * len(matched))
        if target < 1:
            raise ConfigError(f"{len(matched)} of {len(pool)} pairs match {config.metadata}: too few to draw arms from")
        made["pool"], made["matched"] = len(pool), len(matched)
        for seed in pending:
            numbers = run_sample(run, SampleConfig(target_pairs=target, seed=seed), LanguageConfig()).numbers
            balanced, pairs = _table(run, "curated"), matched.select(_COLUMNS)
            arms = {
                "random": _drawn(pool, len(balanced), seed, "random"),
                "matched": _drawn(pairs, len(balanced), seed, "matched"),
                "balanced": balanced,
                "online": pairs.append_column(
                    "keep_probability", pa.array(read_curation(run).keep_probabilities(matched))
                ),
            }
            for name, arm in arms.items():
                path = arm_file(folder, seed, name)
                Storage(str(path.parent)).put_table(path.name, arm)
            made["sizes"][str(seed)] = len(balanced)
            made["threshold_t"] = numbers.threshold_t
            Storage(config.output).put_json(ARMS_FILE, made)
    return made


def filtered_pool(config: ArmsConfig) -> tuple[Path, dict[str, int]]:
    """The file that the arms are drawn from, the arm "all", and reason -> pairs that the caption filter left out."""
    pool = Path(config.pool)
    if config.caption_kind == "v1":
        return pool, {}
    table = _read(pool)
    kept, reasons = filter_captions(text or "" for text in table["alt_text"].to_pylist())
    name = "pool-v2.parquet"
    Storage(config.output).put_table(name, table.filter(pa.array(kept)))
    return Path(config.output) / name, reasons


def arm_file(folder: Path, seed: int, arm: str) -> Path:
    """The file of the pairs of an arm."""
    return folder / f"seed{seed}" / f"{arm}.parquet"


def _drawn(table: pa.Table, size: int, seed: int, arm: str) -> pa.Table:
    """Draws `size` pairs, each set of them equally likely, whatever the order of rows."""
    draws = pair_draws(table["pair_id"].combine_chunks(), seed + (_STREAMS[arm] << 48))
    chosen = np.sort(np.argsort(draws, kind="stable")[:size])
    return table.take(pa.array(chosen))


def _digest_of(config: ArmsConfig) -> str:
    """Digests the pairs and the list, so that arms of other data are never taken for these."""
    table = _read(Path(config.pool))
    content = "\0".join(
        f"{url}\1{text}" for url, text in zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    )
    return digest([content, list(load_metadata(config.metadata).entries)])


def _read(pool: Path) -> pa.Table:
    try:
        return pq.read_table(pool, columns=["image_url", "alt_text"])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{pool} cannot be read as Parquet pairs (image_url, alt_text): {error}") from None


def _table(run: Run, name: str, columns: Sequence[str] = _COLUMNS) -> pa.Table:
    """Reads the pairs of a table that count, in the order of their ids."""
    files = [file for written in table_folders(run.storage, run.state, name) for file in written.sizes]
    tables = [pq.ParquetFile(Path(run.storage.root) / file).read(columns=list(columns)) for file in files]
    table = pa.concat_tables(tables)
    return table.take(pc.sort_indices(table["pair_id"]))


def _made_before(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    path = folder / ARMS_FILE
    if not path.exists():
        return {"settings": settings, "sizes": {}}
    made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    check_made_with(made["settings"], settings, folder)
    return made
