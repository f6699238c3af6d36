"""Balancing anew what is left of another run: of all its matched pairs, or of its curated ones."""

import numpy as np
import pyarrow as pa
import pytest

from metaclip_spark import open_run
from tests.support.jobs import METADATA, SAMPLE, call, manifest_of, report_of, rows, run_json, state_of
from udfs.balancing.draw import pair_draws

pytestmark = pytest.mark.usefixtures("spark")
SEED = 7


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The first run, sampled with a larger t than is wanted in the end."""
    output = tmp_path_factory.mktemp("first") / "run"
    archives = ("--archives", SAMPLE / "*.warc.gz", "--metadata", METADATA, "--buckets", 2)
    assert call("curate", *archives, "--threshold-t", 40, "--seed", SEED, "--output", output) == 0
    return output


@pytest.fixture(scope="module")
def lost(first, tmp_path_factory):
    """A list of a quarter of the first run's curated pairs."""
    pairs = [row["pair_id"] for row in rows(first, "curated")][::4]
    path = tmp_path_factory.mktemp("lost") / "pairs.txt"
    path.write_text("".join(f"{pair}\n" for pair in pairs))
    return path


def test_where_nothing_was_lost_the_same_threshold_gives_the_same_curated_set(first, tmp_path):
    before = state_of(first).number
    again = ("--from-run", first, "--threshold-t", 40)
    assert call("rebalance_run", *again, "--attempted", "matched", "--output", tmp_path / "all") == 0
    assert rows(tmp_path / "all", "curated") == rows(first, "curated")
    assert call("rebalance_run", *again, "--attempted", "matched", "--resume", "--output", tmp_path / "all") == 0
    assert state_of(first).number == before


def test_the_second_draw_is_nested_in_the_first(first, lost, tmp_path):
    output = tmp_path / "run"
    rule = ("--block-pairs", lost)
    assert call("rebalance_run", "--from-run", first, "--threshold-t", 20, *rule, "--output", output) == 0
    survivors = {row["pair_id"]: row for row in rows(first, "curated")}
    gone = lost.read_text().split()
    eligible = {pair: row["keep_probability"] for pair, row in survivors.items() if pair not in set(gone)}
    assert {row["pair_id"]: row["first_keep_probability"] for row in rows(output, "eligible")} == eligible
    weights = np.zeros(len(rows(output, "entry_counts")))
    for pair, first_probability in eligible.items():
        weights[survivors[pair]["entry_ids"]] += 1 / first_probability
    estimated = {row["entry_id"]: row["entry_count"] for row in rows(output, "entry_counts")}
    assert [estimated[entry] for entry in range(len(weights))] == pytest.approx(weights, abs=0.51)
    probability = np.minimum(1, 20 / np.maximum([estimated[entry] for entry in range(len(weights))], 1))
    draws = dict(zip(eligible, pair_draws(pa.array(list(eligible)), SEED).tolist(), strict=True))
    keep = {pair: 1 - np.prod(1 - probability[survivors[pair]["entry_ids"]]) for pair in eligible}
    kept = {pair: min(keep[pair], eligible[pair]) for pair in eligible if draws[pair] < min(keep[pair], eligible[pair])}
    assert {row["pair_id"]: row["keep_probability"] for row in rows(output, "curated")} == pytest.approx(kept)
    numbers = manifest_of(output, "sample")["numbers"]
    assert numbers["capped"] == sum(keep[pair] > eligible[pair] for pair in eligible)
    funnel = {line["out"]: line for line in report_of(output)["funnel"]}
    assert funnel["first draw"]["in_number"] == len(rows(first, "matched"))
    assert funnel["eligible"]["reasons"] == {"removed.pair": len(gone)}
    for line in funnel.values():
        assert line["in_number"] == line["out_number"] + sum(line["reasons"].values())
    assert run_json(output)["steps"]["sample"]["settings"]["seed"] == SEED
    dropped = {row.reason for row in open_run(str(output)).dropped.select("reason").distinct().collect()}
    assert dropped == {"not_drawn"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--seed", 8),
            "--seed is 8, but {first} was sampled with 7: only with the same seed is the second draw nested",
        ),
        (("--from-run", "nowhere"), "/nowhere is not a run: give the folder that was a run's --output"),
        (("--output", "{first}", "--resume"), "--from-run {first} is the output itself: give another --output"),
    ],
)
def test_what_cannot_be_balanced_anew_is_one_line(first, options, told, tmp_path, capsys):
    wrong = [str(option).format(first=first) for option in options]
    command = ("--from-run", first, "--threshold-t", 20, "--output", tmp_path / "run")
    assert call("rebalance_run", *command, *wrong) == 2
    assert told.format(first=first) in capsys.readouterr().err.splitlines()[-1]


def test_a_rebalanced_run_takes_no_archives(first, tmp_path, capsys):
    output = tmp_path / "run"
    assert call("rebalance_run", "--from-run", first, "--threshold-t", 20, "--output", output) == 0
    archives = ("--archives", SAMPLE / "*.warc.gz", "--metadata", METADATA, "--threshold-t", 20)
    for command in (("curate", *archives), ("exclude_pairs", "--respect-preferences", "noai")):
        assert call(*command, "--resume", "--output", output) == 2
        assert "was begun by rebalance, with the pairs of another run" in capsys.readouterr().err
