"""Balancing anew what is left of a run with several metadata lists: each language by its own counts and threshold."""

import shutil
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.balance import tail_share, threshold_for_tail_share
from tests.support import oracle
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


def test_the_second_draw_of_each_language_is_nested_in_the_first(run_of_lists, tmp_path):
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


def chances(pairs, counts, thresholds):
    """Gives the chance of each pair where each language has a threshold."""
    limits = {code: float(t) for code, t in thresholds.items()}
    return {
        row["pair_id"]: oracle.keep_probability(row["entry_ids"], counts, limits[row["metadata_language"]])
        for row in pairs
    }


def test_a_refill_is_what_the_larger_draw_of_each_language_adds(run_of_lists, tmp_path, capsys):
    run, output = shutil.copytree(run_of_lists, tmp_path / "first"), tmp_path / "second"
    matched, curated = rows(run, "matched"), {row["pair_id"]: row for row in rows(run, "curated")}
    counts = [row["entry_count"] for row in by_entry(run, "entry_counts")]
    alive = [pair for place, pair in enumerate(sorted(curated)) if place % 4]
    status = {pair: "success" if pair in alive else "failed_to_download" for pair in curated}
    pq.write_table(pa.table({"pair_id": [*status], "status": [*status.values()]}), tmp_path / "download.parquet")
    target = len(alive) + 2
    command = ("rebalance_run", "--from-run", run, "--downloaded", tmp_path / "download.parquet", "--refill-plan")
    command += ("--target-pairs", target, "--output")
    given = run_of_lists.parent / "thresholds.json"
    assert call(*command, tmp_path / "refused", "--language-thresholds", given) == 2
    assert "--refill-plan with --target-pairs counts survivors, of which" in capsys.readouterr().err
    told = given.read_text()
    try:
        given.write_text('{"ja": 3}')
        assert call(*command, output) == 2
    finally:
        given.write_text(told)
    assert f"--refill-plan: {given} does not say what it said when {run} was drawn: " in capsys.readouterr().err
    assert call(*command, output, "--resume") == 0

    plan = manifest_of(output, "sample")["numbers"]["refill"]
    larger = plan["threshold_t"]
    before = {row["metadata_language"]: row["threshold_t"] or "inf" for row in rows(run, "thresholds")}
    assert plan["thresholds"] == before | {"en": larger}
    of_list = {code: [row for row in matched if row["metadata_language"] == code] for code in LISTS}

    def survivors(thresholds):
        gained = 0
        for code, pairs in of_list.items():
            tried = [pair for pair, row in curated.items() if row["metadata_language"] == code]
            share = len({*tried} & {*alive}) / len(tried) if tried else len(alive) / len(curated)
            sizes = [sum(chances(pairs, counts, each).values()) for each in (before, thresholds)]
            gained += share * (sizes[1] - sizes[0])
        return len(alive) + gained

    assert survivors(before | {"en": larger - 1}) < target <= survivors(plan["thresholds"])
    keep = chances(matched, counts, plan["thresholds"])
    set_of_larger = {pair: chance for pair, chance in keep.items() if oracle.pair_draw(pair, SEED) < chance}
    refill = {row["pair_id"]: row["keep_probability"] for row in rows(output, "refill")}
    assert refill == pytest.approx({pair: set_of_larger[pair] for pair in set_of_larger.keys() - curated.keys()})
    assert refill
    assert plan["pairs"] == len(refill)
    again = f"--threshold-t {larger} --seed {SEED} --language-thresholds {given} --resume"
    shown = capsys.readouterr().out
    assert f" that {run} draws with t = inf for de, {larger} for en, 2 for ja, 1 for other; with them" in shown
    assert again in shown
    assert call("sample_pairs", "--output", run, *again.split()) == 0
    assert {row["pair_id"]: row["keep_probability"] for row in rows(run, "curated")} == pytest.approx(set_of_larger)
    assert {row["metadata_language"]: row["threshold_t"] or "inf" for row in rows(run, "thresholds")} == plan[
        "thresholds"
    ]
