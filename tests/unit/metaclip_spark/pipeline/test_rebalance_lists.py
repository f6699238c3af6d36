"""Balancing anew what is left of a run with several metadata lists: each language by its own counts and threshold."""

import shutil
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from metaclip_spark.balance import tail_share, threshold_for_tail_share
from tests.support.jobs import call, manifest_of, report_of, rows
from tests.support.list_folders import LISTS
from udfs.balancing.draw import pair_draws

pytestmark = pytest.mark.usefixtures("spark")

SEED = 3
OF_ENTRY = [code for code in sorted(LISTS) for _ in LISTS[code]]


def by_entry(output, table):
    return sorted(rows(output, table), key=lambda row: row["entry_id"])


def test_where_all_pairs_were_attempted_and_none_was_lost_the_same_set_comes_again(run_of_lists, tmp_path):
    given = ("--from-run", run_of_lists, "--threshold-t", 5, "--language-thresholds")
    given += (run_of_lists.parent / "thresholds.json", "--attempted", "matched")
    assert call("rebalance_run", *given, "--output", tmp_path / "run") == 0
    for table in ("curated", "thresholds"):
        assert rows(tmp_path / "run", table) == rows(run_of_lists, table)


def test_what_is_dropped_leaves_the_numbers_of_its_language(run_of_lists, tmp_path):
    output = shutil.copytree(run_of_lists, tmp_path / "run")
    gone = [row["pair_id"] for row in rows(output, "curated")][::2]
    (tmp_path / "gone.txt").write_text("\n".join(gone))
    removing = ("--pairs", tmp_path / "gone.txt", "--mode", "drop", "--reason", "ticket 1")
    assert call("remove_pairs", *removing, "--output", output) == 0
    kept = Counter(OF_ENTRY[row["entry_ids"][0]] for row in rows(output, "curated"))
    assert {row["metadata_language"]: row["kept"] for row in report_of(output)["lists"]} == {
        code: kept[code] for code in LISTS
    }
    left_out = [{name: row[name] for name in row if name != "kept"} for row in rows(output, "thresholds")]
    before = [{name: row[name] for name in row if name != "kept"} for row in rows(run_of_lists, "thresholds")]
    assert left_out == before


def test_the_second_draw_of_each_language_is_nested_in_the_first(run_of_lists, tmp_path, capsys):
    survivors = {row["pair_id"]: row for row in rows(run_of_lists, "curated")}
    gone = sorted(survivors)[::4]
    (tmp_path / "lost.txt").write_text("\n".join(gone))
    again = ("--from-run", run_of_lists, "--threshold-t", 2, "--block-pairs", tmp_path / "lost.txt")
    assert call("rebalance_run", *again, "--output", tmp_path / "run") == 0
    first = {pair: row["keep_probability"] for pair, row in survivors.items() if pair not in gone}
    weights = np.zeros(len(OF_ENTRY))
    for pair, probability in first.items():
        weights[survivors[pair]["entry_ids"]] += 1 / probability
    stored = by_entry(tmp_path / "run", "entry_counts")
    counts = np.array([row["entry_count"] for row in stored])
    assert counts == pytest.approx(weights, abs=0.51)
    assert [row["metadata_language"] for row in stored] == OF_ENTRY
    before = by_entry(run_of_lists, "entry_counts")
    assert [row["first_entry_count"] for row in stored] == [row["entry_count"] for row in before]

    of_list = {code: counts[[each == code for each in OF_ENTRY]] for code in LISTS}
    share = tail_share(of_list["en"], 2)
    nearest = {code: threshold_for_tail_share(each, share) if each.any() else 1 for code, each in of_list.items()}
    thresholds = nearest | {"en": 2}
    table = {row["metadata_language"]: row for row in rows(tmp_path / "run", "thresholds")}
    assert {code: row["threshold_t"] for code, row in table.items()} == thresholds
    probability = np.minimum(1, np.array([thresholds[code] for code in OF_ENTRY]) / np.maximum(counts, 1))
    draws = dict(zip(first, pair_draws(pa.array(list(first)), SEED).tolist(), strict=True))
    keep = {pair: min(1 - np.prod(1 - probability[survivors[pair]["entry_ids"]]), first[pair]) for pair in first}
    kept = {pair: chance for pair, chance in keep.items() if draws[pair] < chance}
    assert {row["pair_id"]: row["keep_probability"] for row in rows(tmp_path / "run", "curated")} == pytest.approx(kept)
    assert set(kept) < set(first)
    assert sum(row["kept"] for row in table.values()) == len(kept)
    assert manifest_of(tmp_path / "run", "sample")["numbers"]["threshold_of"] == "en"
    judged, left = (Counter(survivors[pair]["metadata_language"] for pair in each) for each in (survivors, first))
    assert {
        row["group"]: (row["judged"], row["left"]) for row in report_of(tmp_path / "run")["survival"]["languages"]
    } == {code: (number, left[code]) for code, number in judged.items()}
    capsys.readouterr()
    assert call("rebalance_run", *again, "--refill-plan", "--output", tmp_path / "refill") == 2
    told = (
        f"--refill-plan is for runs with one metadata list, and --from-run {run_of_lists} has several: leave it out\n"
    )
    assert capsys.readouterr().err.endswith(told)
