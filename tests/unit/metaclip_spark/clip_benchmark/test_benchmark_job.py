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
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.report.published import RECIPES
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from tests.support.clip_benchmark.pages import checkout_to_write_to, load_clip_pages
from tests.support.paths import CHECKOUT

JOB = CHECKOUT / "jobs" / "benchmark_clip.py"
OPTIONS = ["--model-size", "unit", "--steps", "3", "--warmup-steps", "1", "--seeds", "2"]
OPTIONS += ["--pool-pairs", "120", "--pool-classes", "6", "--test-pictures", "4"]


def call(output, *options):
    specification = importlib.util.spec_from_file_location("job_benchmark_clip", JOB)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.main(["--output", str(output), *options])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("benchmark") / "run"
    # What runs again below runs alone.
    assert call(output, *OPTIONS, "--cells-at-once", "2") == 0
    return output


def pool_of(folder, seed):
    return {
        row["image_url"]: row for row in pq.read_table(folder / f"data/shapes-seed{seed}/pairs.parquet").to_pylist()
    }


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
    assert list((finished / "checkpoints").iterdir()) == []


def test_arms_have_equal_size_and_come_from_the_curation(finished):
    results = pq.read_table(finished / "results.parquet").to_pylist()
    rows = {(row["arm"], row["seed"]): row["data_pairs"] for row in results}
    shares = {"matched": 0, "balanced": 0}
    for seed in (0, 1):
        arms, pool = finished / "arms" / "v1" / f"pool{seed}", pool_of(finished, seed)
        made = json.loads((arms / "arms.json").read_text())
        matched = [row for row in pool.values() if row["corruption"] in {"", "shuffled"}]
        assert (made["pool"], made["matched"]) == (120, len(matched))
        sizes = {rows[arm, seed] for arm in ("random", "matched", "balanced")}
        assert sizes == {made["sizes"][str(seed)]}
        assert rows["all", seed] == 120
        head = max(range(6), key=[row["class_index"] for row in matched].count)
        for arm in ("random", "matched", "balanced"):
            chosen = [pool[row["image_url"]] for row in pq.read_table(arm_file(arms, seed, arm)).to_pylist()]
            assert {row["corruption"] for row in chosen} <= {"", "shuffled"} or arm == "random"
            if arm in shares:
                shares[arm] += sum(row["class_index"] == head for row in chosen)
    # Balancing thins the most frequent class out more than a random draw does.
    assert shares["balanced"] < shares["matched"]


def test_each_seed_has_a_pool_and_a_test_split_of_its_own(finished):
    first, second = (pool_of(finished, seed) for seed in (0, 1))
    assert {row["alt_text"] for row in first.values()} != {row["alt_text"] for row in second.values()}
    tests = [(finished / f"data/shapes-seed{seed}/test/00000.tar").read_bytes() for seed in (0, 1)]
    assert tests[0] != tests[1]
    for seed in (0, 1):
        assert (finished / f"shards/v1/pool{seed}/all/shards.json").exists()
        assert (finished / f"shards/v1/pool{seed}/balanced-seed{seed}/shards.json").exists()
    settings = json.loads((finished / "settings.json").read_text())
    assert (settings["pool"], settings["seeds"], settings["steps"]) == ("shapes", 2, 3)
    assert (settings["model_size"], settings["synonyms"]) == ("unit", None)


def test_the_first_epoch_of_online_is_the_balanced_arm(finished):
    results = pq.read_table(finished / "results.parquet").to_pylist()
    rows = {(row["arm"], row["seed"]): row for row in results}
    for seed in (0, 1):
        arms = finished / "arms" / "v1" / f"pool{seed}"
        made = json.loads((arms / "arms.json").read_text())
        balanced, online = (pq.read_table(arm_file(arms, seed, arm)) for arm in ("balanced", "online"))
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


def test_a_grid_goes_on_from_the_rows_that_are_stored(finished, tmp_path, capsys):
    clip_pages, root, again = load_clip_pages(), checkout_to_write_to(tmp_path / "root"), tmp_path / "again"
    clip_pages.take_over(finished, root)
    assert clip_pages.readme(json.loads((finished / "benchmark.json").read_text())) in (root / "README.md").read_text()
    assert call(again, *OPTIONS, "--finished-cells", str(root / clip_pages.GRID)) == 0
    told = capsys.readouterr().err
    assert "10 finished cells taken from" in told
    assert not re.search(r"of 10: clip-|arms of v1", told)
    assert pq.read_table(again / "results.parquet").equals(pq.read_table(finished / "results.parquet"))
    assert (again / "benchmark.json").read_bytes() == (finished / "benchmark.json").read_bytes()


def test_the_page_says_what_was_measured(finished):
    page = (finished / "benchmark.html").read_text()
    assert not re.search(r"<(script|img|link|iframe)\b", page)
    text = re.sub(r"<[^>]+>", " ", page)
    assert "32.8%" in text
    assert "45%" in text
    assert "44.4%" in text
    assert "128,001 steps" in text
    assert "too few seeds (2 of 5)" in text
    assert "Seeds 0 to 1 were fixed before the first training" in text
    assert "Fewer than 5 seeds give no verdict" in text
    numbers = json.loads((finished / "benchmark.json").read_text())
    assert len(numbers["settings"]) == 5
    assert numbers["comparisons"][0]["question"].startswith("curation")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_folder_may_hold_the_pool_and_another_benchmark_stand_beside(finished, tmp_path, capsys):
    options = [*OPTIONS, "--data", str(finished / "data" / "shapes-seed0"), "--grid", "product"]
    options += ["--caption-kinds", "v1", "--beside", str(finished)]
    assert call(tmp_path, *options) == 0
    shown, told = capsys.readouterr()
    assert shown.splitlines()[-1].endswith(" --steps 6 --output OUTPUT")
    assert "2 cells" in told
    assert "chance 16.7%" in shown
    # One pool for both seeds, whose shards are made once.
    assert [path.name for path in (tmp_path / "shards" / "v1").iterdir()] == ["pool"]
    numbers = json.loads((tmp_path / "benchmark.json").read_text())
    assert any("All seeds share one pool" in note for note in numbers["notes"])
    assert len(numbers["settings"]) == 1
    assert [len(other["settings"]) for other in numbers["beside"]] == [5]


@pytest.mark.usefixtures("wandb_stand_in")
def test_a_full_gpu_is_one_line_and_curves_outlive_the_checkpoints(finished, tmp_path, monkeypatch, capsys):
    encode = ContrastiveModel.encode_image

    def full(model, images):
        if model.training:
            return encode(model, images)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of")

    options = [*OPTIONS, "--seeds", "1", "--data", str(finished / "data" / "shapes-seed0"), "--grid", "product"]
    options += ["--caption-kinds", "v1", "--wandb", "curves"]
    with monkeypatch.context() as patch:
        patch.setattr(ContrastiveModel, "encode_image", full)
        assert call(tmp_path, *options) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: the GPU's memory is full (Tried to allocate 2.00 GiB): give a lower --batch-size, or of a grid a lower "
        "--cells-at-once"
    )
    assert call(tmp_path, *options) == 0
    assert list((tmp_path / "checkpoints").iterdir()) == []
    (told,) = (tmp_path / "curves").glob("clip-vit-*/wandb/told")
    assert [json.loads(line)[0] for line in told.read_text().splitlines()[1:4]] == [1, 2, 3]


def test_the_experiment_for_a_gpu_runs_at_toy_size(tmp_path):
    options = ["--model-size", "unit", "--steps", "2", "--warmup-steps", "1", "--batch-size", "8", "--device", "cpu"]
    options += ["--pool-pairs", "120", "--test-pictures", "2", "--seeds", "1", "--picture-pixels", "32"]
    assert call(tmp_path, "--config", str(RECIPES / "variants_on_gpu.yaml"), *options) == 0
    rows = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert {row["variant"] for row in rows} == set(VARIANTS)
    assert {(row["precision"], row["image_tower"], row["caption_kind"]) for row in rows} == {("bfloat16", "vit", "v2")}


def test_held_out_pairs_are_scored_apart(tmp_path):
    options = ["--model-size", "unit", "--steps", "2", "--warmup-steps", "1", "--seeds", "1", "--grid", "product"]
    options += ["--data", "shape-pairs", "--pool-pairs", "40", "--paired-shapes", "4", "--pair-test-pictures", "3"]
    assert call(tmp_path, *options) == 0
    (row,) = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert (row["classes"], row["items"]) == (12, 36)
    # One class of twelve is held out.
    assert row["top1"] * 36 == pytest.approx(row["seen_top1"] * 33 + row["held_out_top1"] * 3)
    assert row["held_out_top1"] * 3 == pytest.approx(round(row["held_out_top1"] * 3))
    assert "held-out classes" in (tmp_path / "benchmark.html").read_text()


def test_a_model_that_has_not_learnt_fails_where_it_must(finished, capsys):
    assert call(finished, *OPTIONS, "--must-learn") == 1
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.startswith("error: not above three times chance: clip, vit")


def test_bad_input_is_told_in_one_line(finished, tmp_path, capsys):
    for options, message in [
        ([*OPTIONS, "--steps", "4"], "steps was 3 and is now 4"),
        ([*OPTIONS, "--seeds", "3"], "seeds was 2 and is now 3"),
        ([*OPTIONS, "--beside", str(tmp_path / "none")], "holds no finished benchmark"),
        ([*OPTIONS, "--finished-cells", str(tmp_path / "none")], "none holds no readable settings.json"),
        ([*OPTIONS, "--finished-cells", "s3://a/b"], "--finished-cells s3://a/b must be a local path"),
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
        output = finished if OPTIONS[0] in options else tmp_path / "run"
        assert call(output, *options) == 2, options
        shown = capsys.readouterr().err.splitlines()
        assert shown[-1].startswith("error: "), options
        assert message in shown[-1], (options, shown)
