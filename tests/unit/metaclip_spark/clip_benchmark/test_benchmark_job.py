"""From shapes to the page: curation of the pool, arms, shards, three steps of training, evaluation, rows, report."""

import importlib.util
import json
import re

import pyarrow.parquet as pq
import pytest
import torch

from metaclip_spark import keeps_in_epoch
from metaclip_spark.clip_benchmark.cells import CELLS_FOLDER
from metaclip_spark.clip_benchmark.data.arms import arm_file
from tests.support.paths import CHECKOUT

JOB = CHECKOUT / "jobs" / "benchmark_clip.py"
OPTIONS = ["--model-size", "unit", "--steps", "3", "--warmup-steps", "1", "--primary-seeds", "2"]
OPTIONS += ["--pool-pairs", "120", "--pool-classes", "6", "--test-pictures", "4"]


def call(output, *options):
    specification = importlib.util.spec_from_file_location("job_benchmark_clip", JOB)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.main(["--output", str(output), *options])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("benchmark") / "run"
    assert call(output, *OPTIONS) == 0
    return output


def test_a_row_per_cell_with_what_it_must_be_read_with(finished):
    rows = pq.read_table(finished / "results.parquet").to_pylist()
    assert {(row["arm"], row["seed"]) for row in rows} == {
        (arm, seed) for arm in ("random", "matched", "balanced", "online", "all") for seed in (0, 1)
    }
    for row in rows:
        assert (row["preset"], row["steps"], row["samples_seen"]) == ("clean", 3, 24)
        assert (row["learning_rate"], row["weight_decay"], row["view_set"]) == (1e-3, 0.1, "distorting")
        assert (row["torch"], row["threads"], row["device"]) == (torch.__version__, 1, "cpu")
        assert row["processor"] and row["view_maker"] == "loader"
        assert (row["items"], row["classes"], row["prompts"]) == (24, 6, 6)
        assert row["sampling_seed"] == row["seed"]
        assert len(row["correct"]) == 24
        assert len(json.loads(row["losses"])["contrast"]) == 3
        assert 0 <= row["top1_lower"] <= row["top1"] <= row["top5"] <= 1
    assert not list((finished / "checkpoints").glob("*/*"))


def test_arms_have_equal_size_and_come_from_the_curation(finished):
    made = json.loads((finished / "arms" / "v1" / "arms.json").read_text())
    results = pq.read_table(finished / "results.parquet").to_pylist()
    rows = {(row["arm"], row["seed"]): row["data_pairs"] for row in results}
    pool = {row["image_url"]: row for row in pq.read_table(finished / "data/shapes/pairs.parquet").to_pylist()}
    matched = [row for row in pool.values() if row["corruption"] in {"", "shuffled"}]
    assert (made["pool"], made["matched"]) == (120, len(matched))
    chosen = {}
    for seed in (0, 1):
        sizes = {rows[arm, seed] for arm in ("random", "matched", "balanced")}
        assert sizes == {made["sizes"][str(seed)]}
        assert rows["all", seed] == 120
        for arm in ("random", "matched", "balanced"):
            table = pq.read_table(arm_file(finished / "arms" / "v1", seed, arm)).to_pylist()
            chosen[arm, seed] = {row["image_url"] for row in table}
            kinds = {pool[row["image_url"]]["corruption"] for row in table}
            assert kinds <= {"", "shuffled"} or arm == "random"
    for arm in ("random", "matched", "balanced"):
        assert chosen[arm, 0] != chosen[arm, 1]
    # Balancing thins the most frequent class out more than a random draw does.
    head = max(range(6), key=[row["class_index"] for row in matched].count)
    shares = {
        arm: sum(pool[url]["class_index"] == head for seed in (0, 1) for url in chosen[arm, seed])
        for arm in ("matched", "balanced")
    }
    assert shares["balanced"] < shares["matched"]


def test_the_first_epoch_of_online_is_the_balanced_arm(finished):
    results = pq.read_table(finished / "results.parquet").to_pylist()
    rows = {(row["arm"], row["seed"]): row for row in results}
    made = json.loads((finished / "arms" / "v1" / "arms.json").read_text())
    for seed in (0, 1):
        balanced, online = (
            pq.read_table(arm_file(finished / "arms" / "v1", seed, arm)) for arm in ("balanced", "online")
        )
        kept = keeps_in_epoch(online["pair_id"], online["keep_probability"], seed, 0)
        assert online["pair_id"].filter(kept).to_pylist() == balanced["pair_id"].to_pylist()
        assert 0 < kept.sum() < online.num_rows == rows["online", seed]["data_pairs"] == made["matched"]
        # All arms see equally many samples; 24 of them lie in the first epoch.
        assert rows["online", seed]["samples_seen"] == rows["balanced", seed]["samples_seen"] == 24
        assert json.loads(rows["online", seed]["diagnostics"])["not_kept"] == online.num_rows - kept.sum()
        assert "not_kept" not in json.loads(rows["balanced", seed]["diagnostics"])


def test_a_killed_grid_goes_on_without_training_what_is_done(finished, capsys):
    gone = finished / CELLS_FOLDER / "clip-vit-balanced-v1-text-clean-unit-seed1.parquet"
    before = pq.read_table(gone).to_pylist()[0]
    others = {path: path.stat().st_mtime_ns for path in gone.parent.iterdir() if path != gone}
    gone.unlink()
    assert call(finished, *OPTIONS) == 0
    assert {path: path.stat().st_mtime_ns for path in gone.parent.iterdir() if path != gone} == others
    after = pq.read_table(gone).to_pylist()[0]
    changing = {"seconds", "samples_per_second"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    assert len(re.findall(r"of 10: clip-", capsys.readouterr().err)) == 1


def test_the_page_says_what_was_measured(finished):
    page = (finished / "benchmark.html").read_text()
    assert not re.search(r"<(script|img|link|iframe)\b", page)
    text = re.sub(r"<[^>]+>", " ", page)
    assert "32.8%" in text
    assert "45%" in text
    assert "128,001 steps" in text
    assert "too few seeds (2 of 5)" in text
    numbers = json.loads((finished / "benchmark.json").read_text())
    assert len(numbers["settings"]) == 5
    assert numbers["comparisons"][0]["question"].startswith("curation")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_folder_may_hold_the_pool_and_another_grid_the_same_cells(finished, capsys):
    options = [*OPTIONS, "--data", str(finished / "data" / "shapes"), "--grid", "product", "--seeds", "1"]
    options += ["--view-set", "distorting"]
    assert call(finished, *options, "--caption-kinds", "v1", "--arms", "random", "all") == 0
    shown, told = capsys.readouterr()
    assert shown.splitlines()[-1].endswith(" --arms random all --steps 6 --output OUTPUT")
    assert "2 cells" in told
    assert "chance 16.7%" in shown
    assert "balanced - random" in shown
    assert "of 2: clip-" not in told
    # The page still shows every cell of the folder.
    assert len(json.loads((finished / "benchmark.json").read_text())["settings"]) == 5


def test_a_model_that_has_not_learnt_fails_where_it_must(finished, capsys):
    assert call(finished, *OPTIONS, "--must-learn") == 1
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.startswith("error: not above three times chance: clip, vit")


def test_bad_input_is_told_in_one_line(finished, tmp_path, capsys):
    for options, message in [
        ([*OPTIONS, "--steps", "4"], "other settings"),
        (["--grid", "some"], "--grid is 'some'"),
        (["--grid", "product", "--variants", "blip"], "--variants is 'blip'"),
        (["--grid", "product", "--text-depths", "two"], "--text-depths is"),
        (["--data", str(tmp_path)], "lacks pairs.parquet"),
        (["--data", "drawings", "--openclipart", str(tmp_path / "none")], "is not a folder"),
        (["--warmup-steps", "400"], "--warmup-steps"),
        (["--synonyms", str(tmp_path / "none")], "is not there"),
        # A machine with a GPU would train on it.
        *([] if torch.cuda.is_available() else [(["--device", "cuda"], "--device is cuda, but torch")]),
        (["--bogus"], "--help"),
    ]:
        output = finished if "--steps" in options else tmp_path / "run"
        assert call(output, *options) == 2, options
        shown = capsys.readouterr().err.splitlines()
        assert shown[-1].startswith("error: "), options
        assert message in shown[-1], (options, shown)
