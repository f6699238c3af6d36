"""Balancing anew what is left of another run: of all its matched pairs, or of its curated ones."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bs4 import BeautifulSoup

from metaclip_spark import open_run
from tests.support import oracle
from tests.support.jobs import METADATA, SAMPLE, call, folder_of, manifest_of, report_of, rows, run_json, state_of
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


@pytest.fixture(scope="module")
def again(first, lost):
    """How the second run is made, but for its output."""
    return ("--from-run", first, "--threshold-t", 20, "--seed", SEED, "--block-pairs", lost, "--refill-plan")


@pytest.fixture(scope="module")
def second(again, tmp_path_factory):
    """A run with what is left of the first one's curated pairs."""
    output = tmp_path_factory.mktemp("second") / "run"
    assert call("rebalance_run", *again, "--output", output) == 0
    return output


def test_the_second_draw_is_nested_in_the_first(first, lost, second, again, capsys):
    output = second
    survivors = {row["pair_id"]: row for row in rows(first, "curated")}
    gone = lost.read_text().split()
    eligible = {pair: row["keep_probability"] for pair, row in survivors.items() if pair not in set(gone)}
    assert {row["pair_id"]: row["first_keep_probability"] for row in rows(output, "eligible")} == eligible
    counts, first_counts = rows_by_entry(output, "entry_counts"), rows_by_entry(first, "entry_counts")
    weights, variances = np.zeros(len(counts)), np.zeros(len(counts))
    for pair, first_probability in eligible.items():
        weights[survivors[pair]["entry_ids"]] += 1 / first_probability
        variances[survivors[pair]["entry_ids"]] += (1 - first_probability) / first_probability**2
    estimated = [row["entry_count"] for row in counts]
    assert estimated == pytest.approx(weights, abs=0.51)
    assert [row["entry_count_error"] for row in counts] == pytest.approx(np.sqrt(variances), abs=0.05)
    assert [row["first_entry_count"] for row in counts] == [row["entry_count"] for row in first_counts]
    assert all(row.keys() == {"entry_id", "entry_text", "entry_count"} for row in first_counts)
    probability = np.minimum(1, 20 / np.maximum(estimated, 1))
    draws = dict(zip(eligible, pair_draws(pa.array(list(eligible)), SEED).tolist(), strict=True))
    keep = {pair: 1 - np.prod(1 - probability[survivors[pair]["entry_ids"]]) for pair in eligible}
    kept = {pair: min(keep[pair], eligible[pair]) for pair in eligible if draws[pair] < min(keep[pair], eligible[pair])}
    assert {row["pair_id"]: row["keep_probability"] for row in rows(output, "curated")} == pytest.approx(kept)
    numbers = manifest_of(output, "sample")["numbers"]
    assert numbers["capped"] == sum(keep[pair] > eligible[pair] for pair in eligible)
    asked = round(sum(keep[pair] / eligible[pair] for pair in eligible))
    assert asked < len(eligible)
    assert numbers["refill"] == {"target": asked, "threshold_t": 40, "pairs": 0}
    assert call("rebalance_run", *again, "--resume", "--output", output) == 0
    assert f"\nRefill: nothing is missing for {asked:,} pairs\n" in capsys.readouterr().out
    assert rows(output, "refill") == []
    tell_of_the_first_run(output, first, counts)
    funnel = {line["out"]: line for line in report_of(output)["funnel"]}
    assert funnel["first draw"]["in_number"] == len(rows(first, "matched"))
    assert funnel["eligible"]["reasons"] == {"removed.pair": len(gone)}
    for line in funnel.values():
        assert line["in_number"] == line["out_number"] + sum(line["reasons"].values())
    assert run_json(output)["steps"]["sample"]["settings"]["seed"] == SEED
    dropped = {row.reason for row in open_run(str(output)).dropped.select("reason").distinct().collect()}
    assert dropped == {"not_drawn"}


def rows_by_entry(output, table):
    """Reads a table with one row per entry, in the order of the metadata list."""
    return sorted(rows(output, table), key=lambda row: row["entry_id"])


def tell_of_the_first_run(output, first, counts):
    """Checks that report, page, plan and comparison tell of the first run."""
    folder = output / state_of(output).finished.report
    figures = pq.read_table(folder / "entries").sort_by("entry_id").to_pylist()
    names = ("entry_count_error", "first_entry_count")
    assert [[row[name] for name in names] for row in figures] == [[row[name] for name in names] for row in counts]
    listed = report_of(output)["profile"]["most_cut"][0]
    assert [listed[name] for name in names] == [counts[listed["entry_id"]][name] for name in names]
    table = BeautifulSoup((folder / "report.html").read_text(), "html5lib").find(id="most-lost").find_next("table")
    assert [cell.text for cell in table.find_all("th")][:3] == ["entry", "first run", "estimated"]
    assert [cell.text for cell in table.tbody.find_all("td")][:3] == [
        listed["entry_text"],
        f"{listed['first_entry_count']:,}",
        f"{listed['entry_count']:,}\u00a0±\u00a0{listed['entry_count_error']:,.1f}",
    ]
    assert table.find(class_="samples").td["colspan"] == str(len(table.thead.find_all("th")))
    run = open_run(str(output))
    assert f"eligible pairs of {first}, drawn there with t = 40\n" in str(run.plan(thresholds=[20]))
    settings = {row.figure: (row.this, row.other) for row in run.compare(str(first)).settings}
    assert settings["exclude: from_run"] == (str(first), "none")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        *(
            (
                ("--seed", seed),
                f"--seed is {seed}, but {{first}} was sampled with 7: only with the same seed is the second draw",
            )
            for seed in (8, 0)
        ),
        (
            ("--attempted", "matched", "--refill-plan"),
            "--attempted matched: all pairs were attempted, so none is missing",
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


def test_a_rebalanced_run_takes_no_archives(second, tmp_path, capsys):
    output = shutil.copytree(second, tmp_path / "run")
    again = ("rebalance_run", "--from-run", output, "--threshold-t", 20, "--output", tmp_path / "again")
    for options, told in (
        (("--attempted", "matched"), "and has no matched pairs of its own: leave out --attempted matched"),
        (("--refill-plan",), "and has no pairs but those that were attempted"),
    ):
        assert call(*again, "--overwrite", *options) == 2
        assert told in capsys.readouterr().err.splitlines()[-1]
    assert call("sample_pairs", "--target-pairs", "1M", "--seed", SEED, "--overwrite", "--output", output) == 2
    left = len(rows(output, "eligible"))
    told = f"--target-pairs 1,000,000 is more than the {left:,} survivors of the first draw: give at most {left:,}, or"
    assert f"{told} rebalance with --refill-plan" in capsys.readouterr().err
    assert call("count_entries", "--metadata", METADATA, "--overwrite", "--output", output) == 2
    assert "was begun by rebalance, with the pairs of another run" in capsys.readouterr().err
    archives = ("--archives", SAMPLE / "*.warc.gz", "--metadata", METADATA, "--threshold-t", 20)
    for command in (("curate", *archives), ("exclude_pairs", "--respect-preferences", "noai")):
        assert call(*command, "--resume", "--output", output) == 2
        assert "was begun by rebalance, with the pairs of another run" in capsys.readouterr().err


PLANNED, WANTED = 3000, 2950
"""What the plan is to reach, and what is drawn in the end: less, since chance may leave fewer."""


def downloads_of(pairs, path):
    """Writes what a download tells of pairs, a quarter of which it lost, always the same."""
    status = ["failed_to_download" if int(row["pair_id"][:2], 16) % 4 == 0 else "success" for row in pairs]
    pq.write_table(pa.table({"pair_id": [row["pair_id"] for row in pairs], "status": status}), path)


def alive(pairs):
    """Gives the pairs that such a download does not lose."""
    return [row for row in pairs if int(row["pair_id"][:2], 16) % 4]


def test_a_refill_ends_where_one_download_of_all_of_it_would(first, tmp_path, capsys):
    run, output = shutil.copytree(first, tmp_path / "first"), tmp_path / "second"
    matched, curated = rows(run, "matched"), rows(run, "curated")
    entries = [row["entry_text"] for row in rows_by_entry(run, "entry_counts")]
    counts = oracle.count(matched, entries)
    attempted = {row["pair_id"] for row in curated}
    listed = [row["pair_id"] for row in matched if row["pair_id"] not in attempted][::9]
    (tmp_path / "listed.txt").write_text("\n".join(listed))
    downloads_of(curated, tmp_path / "before.parquet")
    command = ("--from-run", run, "--block-pairs", tmp_path / "listed.txt", "--output", output, "--downloaded")
    plan = ("--target-pairs", PLANNED, "--refill-plan")
    assert call("rebalance_run", *command, tmp_path / "before.parquet", *plan) == 0
    shown = capsys.readouterr().out

    left = alive(curated)
    assert {row["pair_id"] for row in rows(output, "curated")} == {row["pair_id"] for row in left}
    told = manifest_of(output, "sample")["numbers"]
    larger = told["refill"]["threshold_t"]
    share, drawn = len(left) / len(curated), oracle.expected_size(matched, counts, 40)
    expected = [len(left) + (oracle.expected_size(matched, counts, t) - drawn) * share for t in (larger - 1, larger)]
    assert expected[0] < PLANNED <= expected[1]
    larger_set = oracle.keep(matched, counts, larger, SEED)
    new = {row["pair_id"]: row for row in larger_set if row["pair_id"] not in attempted}
    refill = {row["pair_id"]: row for row in rows(output, "refill")}
    assert refill.keys() == new.keys() - set(listed)
    assert new.keys() & set(listed)
    assert all(row["keep_probability"] == pytest.approx(new[pair]["keep_probability"]) for pair, row in refill.items())
    assert all(row["image_url"] and row["alt_text"] for row in refill.values())
    assert told["refill"] == {"target": PLANNED, "threshold_t": larger, "pairs": len(refill)}
    folder = folder_of(output, "refill")
    assert f"Refill: {folder}\n{len(refill):,} pairs that {run} draws with t = {larger:,}; " in shown
    assert f"\n  metaclip-spark make-shards --pairs {output} --images images " in shown
    assert call("table_path", output, "refill") == 0
    assert capsys.readouterr().out.strip() == str(folder)
    assert open_run(str(output)).refill.count() == len(refill)
    warn_of_capped_pairs(output, left, entries, counts, told)

    downloads_of(refill.values(), tmp_path / "after.parquet")
    drawn_again = ("--threshold-t", larger, "--seed", SEED, "--resume", "--output", run)
    assert f"--threshold-t {larger} --seed {SEED} --resume" in shown
    assert call("sample_pairs", *drawn_again) == 0
    assert call("report_curation", "--output", run) == 0
    assert {row["pair_id"] for row in rows(run, "curated")} == {row["pair_id"] for row in larger_set}
    both = (tmp_path / "before.parquet", tmp_path / "after.parquet", "--target-pairs", WANTED, "--resume")
    assert call("rebalance_run", *command, *both) == 0
    check_final_draw(output, entries, larger_set, listed)
    capsys.readouterr()
    assert call("table_path", output, "refill") == 2
    assert "its step 'sample' was done without --refill-plan" in capsys.readouterr().err


def check_final_draw(output, entries, larger_set, listed):
    """Checks what is drawn of the survivors of the larger set, whose pairs were all attempted but for those listed."""
    listed_in_set = sum(row["pair_id"] in listed for row in larger_set)
    survivors = [
        {**row, "first_keep_probability": row["keep_probability"]}
        for row in alive(larger_set)
        if row["pair_id"] not in listed
    ]
    estimates, _ = oracle.estimated_count(survivors, entries)
    threshold = manifest_of(output, "sample")["numbers"]["threshold_t"]
    sizes = [oracle.expected_again(survivors, estimates, t)[0] for t in (threshold - 1, threshold)]
    assert sizes[0] < WANTED <= sizes[1]
    kept = {row["pair_id"]: row["keep_probability"] for row in oracle.keep_again(survivors, estimates, threshold, SEED)}
    assert {row["pair_id"]: row["keep_probability"] for row in rows(output, "curated")} == pytest.approx(kept)
    assert report_of(output)["funnel"][-2]["reasons"] == {
        "image.download_failed": len(larger_set) - len(survivors) - listed_in_set,
        "removed.pair": listed_in_set,
    }


def warn_of_capped_pairs(output, left, entries, first_counts, told):
    """Checks what is said of pairs whose new chance exceeds the one that they were attempted with."""
    survivors = [{**row, "first_keep_probability": row["keep_probability"]} for row in left]
    estimates, _ = oracle.estimated_count(survivors, entries)
    t = told["threshold_t"]
    _, _, capped = oracle.expected_again(survivors, estimates, t)
    enough = max(
        first if now <= t else -(-first * t // now) for first, now in zip(first_counts, estimates, strict=True) if now
    )
    line = (
        f"t = {t} asks for pairs that were never downloaded ({capped:,} capped): sample the first run again with "
        f"t >= {enough:,}, and download what is new"
    )
    assert (told["capped"], told["threshold_without_caps"]) == (capped, enough)
    assert line in report_of(output)["warnings"]
    assert line in run_json(output)["warnings"]
