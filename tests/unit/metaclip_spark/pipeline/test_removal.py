"""Removals: what is listed leaves the run for ever, by balancing anew or at once, and by a purge from every file."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark import open_run
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.exclusion import RemovalConfig
from metaclip_spark.pipeline.again import again
from metaclip_spark.pipeline.remove import judging_for, read_listed, register
from metaclip_spark.runs.open import continue_run
from tests.support.jobs import METADATA, SAMPLE, call, folder_of, manifest_of, report_of, rows, run_json, state_of
from tests.support.unpacked import every_text
from udfs.exclusion.url_key import url_key

pytestmark = pytest.mark.usefixtures("spark")
CURATE = ("--archives", SAMPLE / "*-0000[01].warc.gz", "--metadata", METADATA, "--threshold-t", 10, "--buckets", 4)
WHY = ("--reason", "ticket 123")


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A finished run."""
    output = tmp_path_factory.mktemp("before") / "run"
    assert call("curate", *CURATE, "--output", output) == 0
    return output


@pytest.fixture
def output(before, tmp_path):
    """A copy of it."""

    return Path(shutil.copytree(before, tmp_path / "run"))


@pytest.fixture(scope="module")
def urls(before):
    """Every seventh URL of the curated pairs, and one that is nowhere."""
    return [*sorted({row["image_url"] for row in rows(before, "curated")})[::7], "https://nowhere.example/a.jpg"]


@pytest.fixture(scope="module")
def listed(urls, tmp_path_factory):
    """A list of them."""
    return write_list(tmp_path_factory.mktemp("listed"), urls)


@pytest.fixture(scope="module")
def blocked(listed, tmp_path_factory):
    """A run that is made with the same list blocked, which counts and draws what a removal has to leave."""
    output = tmp_path_factory.mktemp("blocked") / "run"
    assert call("curate", *CURATE, "--block-urls", listed, "--output", output) == 0
    return output


SHARED = "ab" * 32
"""The hash of an image that lies at two URLs."""

DOGS = {f"https://images.example/{number}.jpg": f"a dog {number}" for number in range(40)}
"""The URLs and texts of a small pool's matched pairs."""

DRAWN, UNDRAWN = (f"https://images.example/{number}.jpg" for number in (0, 1))
"""Where the image lies: of the one URL a pair is drawn, of the other none."""

REJECTED = ("https://images.example/with a blank.jpg", f"https://images.example/{'long' * 99}.jpg")
"""URLs that only examples of rejects hold, one of them cut."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a run over a small pool that knows its images by their hashes, and with all that it is made of."""
    folder = tmp_path_factory.mktemp("small")
    pairs = [(url, text) for url, dog in DOGS.items() for text in (dog, dog.replace("dog", "thing"))]
    pairs += [(url, "") for url in REJECTED] + [([DRAWN], "a dog")]
    lines = [json.dumps({"url": url, "text": text}) for url, text in pairs]
    (folder / "pool.jsonl").write_text("\n".join(lines))
    (folder / "list.json").write_text('["dog", "cat"]')
    hashes = [SHARED if url in {DRAWN, UNDRAWN} else sha256(url.encode()).hexdigest() for url in DOGS]
    told = {"url": list(DOGS), "status": ["success"] * len(DOGS)}
    pq.write_table(pa.table({**told, "sha256": hashes}), folder / "sha256.parquet")
    pq.write_table(pa.table({**told, "md5": [each[:32] for each in hashes]}), folder / "md5.parquet")
    write_list(folder, [SHARED], "images.txt")
    write_list(folder, REJECTED, "urls.txt")
    options = ("--downloaded", folder / "sha256.parquet", "--output", folder / "run")
    assert call("curate", *curate_small(folder), *options) == 0
    assert {DRAWN, UNDRAWN} - {row["image_url"] for row in rows(folder / "run", "curated")} == {UNDRAWN}
    return folder


def curate_small(folder):
    """Gives the options of the run over the small pool, but for its rules."""
    return ("--pool", folder / "pool.jsonl", "--metadata", folder / "list.json", "--threshold-t", 30)


def write_list(folder, values, name="list.txt"):
    path = folder / name
    path.write_text("".join(f"{value}\n" for value in values))
    return path


def removed(output):
    return [entry for _, entry in sorted(state_of(output).removals.items())]


def keys(urls):
    return {url_key(url).text for url in urls}


def left_of(table, urls):
    return [row for row in table if url_key(row["image_url"]).text not in keys(urls)]


def test_what_is_removed_is_neither_counted_nor_drawn_again(before, blocked, output, urls, listed, capsys):
    assert call("remove_pairs", *WHY, "--urls", listed, "--output", output) == 0
    told = capsys.readouterr().out
    named = [row for row in rows(before, "matched") if url_key(row["image_url"]).text in keys(urls)]
    curated = [row for row in rows(before, "curated") if url_key(row["image_url"]).text in keys(urls)]
    assert f"urls: {len(urls)} values (1 name no pair), {len(named):,} matched pairs, {len(curated):,} of them" in told
    assert rows(output, "matched") == rows(before, "matched")
    assert {row["pair_id"]: row["reason"] for row in rows(output, "excluded")} == {
        row["pair_id"]: "removed.url" for row in named
    }
    for table in ("entry_counts", "curated"):
        assert rows(output, table) == rows(blocked, table)
    [removal] = removed(output)
    assert (removal.values, removal.without_pairs) == ({"url": len(urls)}, {"url": 1})
    assert (removal.matched, removal.curated) == ({"url": len(named)}, {"url": len(curated)})
    register = pq.read_table(output / removal.tables["removals"].folder).to_pylist()
    assert {row["value"] for row in register} == {None}
    assert {row["value_sha256"] for row in register} == {sha256(key.encode()).hexdigest() for key in keys(urls)}
    [done] = state_of(output).concluded.values()
    ids = {row["pair_id"] for row in rows(before, "curated")}
    assert done.entered == sum(row["pair_id"] not in ids for row in rows(output, "curated"))
    assert f"({done.entered:,} of them entered instead)" in told
    [*_, command] = report_of(output)["commands"]
    assert "--reason ..." in command["command"]
    assert "ticket" not in json.dumps([run_json(output), report_of(output)])


def test_a_set_that_was_balanced_anew_can_be_rid_of_what_its_first_run_no_longer_has(before, urls, listed, tmp_path):
    first = shutil.copytree(before, tmp_path / "first")
    output = tmp_path / "run"
    assert call("rebalance_run", "--from-run", first, "--threshold-t", 8, "--output", output) == 0
    assert left_of(rows(output, "curated"), urls) != rows(output, "curated")
    expected = left_of(rows(output, "curated"), urls)
    assert call("remove_pairs", *WHY, "--urls", listed, "--output", first) == 0
    assert call("remove_pairs", *WHY, "--mode", "drop", "--urls", listed, "--output", output) == 0
    assert rows(output, "curated") == expected
    # A run that begins with what was dropped from tells so.
    later = tmp_path / "later"
    assert (
        call(
            "remove_pairs",
            *WHY,
            "--mode",
            "drop",
            "--pairs",
            write_list(tmp_path, [rows(first, "curated")[0]["pair_id"]]),
            "--output",
            first,
        )
        == 0
    )
    assert call("rebalance_run", "--from-run", first, "--threshold-t", 8, "--output", later) == 0
    for line in report_of(later)["funnel"]:
        assert line["in_number"] == line["out_number"] + sum(line["reasons"].values())
    assert not keys(urls) & keys(row["image_url"] for row in rows(later, "curated"))


def test_dropping_takes_pairs_out_of_the_curated_set_alone(before, blocked, output, urls, listed, capsys):
    assert call("remove_pairs", *WHY, "--mode", "drop", "--urls", listed, "--output", output) == 0
    assert rows(output, "curated") == left_of(rows(before, "curated"), urls)
    assert rows(output, "entry_counts") == rows(before, "entry_counts")
    gone = len(rows(before, "curated")) - len(rows(output, "curated"))
    assert run_json(output)["steps"]["sample"]["numbers"]["dropped_since_balance"] == gone
    for line in report_of(output)["funnel"]:
        assert line["in_number"] == line["out_number"] + sum(line["reasons"].values())
    told = "".join(
        (output / state_of(output).finished.report / page).read_text() for page in ("report.json", "report.html")
    )
    assert not [url for url in urls if url in told]
    run = open_run(str(output))
    reasons = {row.reason: row["count"] for row in run.dropped.groupBy("reason").count().collect()}
    assert reasons["removed.since_balance"] == gone
    assert run.matched.count() == run.curated.count() + run.dropped.count()
    capsys.readouterr()
    again = ("--metadata", METADATA, "--output", output, "--resume")
    assert call("count_entries", *again) == 2
    assert "its matched pairs still hold what they name" in capsys.readouterr().err
    # Then balanced: as if it had been balanced at once.
    assert call("curate", *CURATE, "--output", output, "--resume") == 0
    assert rows(output, "curated") == rows(blocked, "curated")


def test_an_image_leaves_a_run_that_began_with_another_ones_pairs(small, tmp_path, capsys):
    output = tmp_path / "run"
    again = ("--from-run", small / "run", "--downloaded", small / "sha256.parquet", "--threshold-t", 40)
    assert call("rebalance_run", *again, "--output", output) == 0
    drawn = rows(output, "curated")
    removing = (*WHY, "--mode", "drop", "--images", small / "images.txt", "--output", output)
    for options in ((*removing, "--dry-run"), removing):
        capsys.readouterr()
        assert call("remove_pairs", *options) == 0
        assert "images: 1 value (0 name no pair), 1 curated pair" in capsys.readouterr().out
    assert rows(output, "curated") == [row for row in drawn if row["image_url"] != DRAWN]


def test_what_was_removed_stays_removed_when_archives_are_added_and_all_is_made_anew(output, urls, listed):
    assert call("remove_pairs", *WHY, "--urls", listed, "--output", output) == 0
    assert call("curate", *CURATE, "--output", output, "--overwrite") == 0
    assert not keys(urls) & keys(row["image_url"] for row in rows(output, "curated"))


def test_buckets_without_a_removed_pair_stay_as_they_are(before, output, tmp_path):
    pairs = [row["pair_id"] for row in rows(before, "curated") if row["pair_id"] < "4"][:2]
    assert call("remove_pairs", *WHY, "--pairs", write_list(tmp_path, pairs), "--output", output) == 0
    tables = {bucket: table.tables for (step, bucket), table in state_of(output).tables.items() if step == "exclude"}
    assert [sorted(tables[bucket]) for bucket in range(4)] == [["eligible", "excluded"], [], [], []]
    assert len(rows(output, "matched")) == manifest_of(output, "exclude", 0)["numbers"]["pairs_in"] + sum(
        manifest_of(output, "exclude", bucket)["numbers"]["pairs"] for bucket in (1, 2, 3)
    )
    more = [row["pair_id"] for row in rows(before, "curated") if row["pair_id"] >= "c"][:2]
    assert call("remove_pairs", *WHY, "--pairs", write_list(tmp_path, more), "--output", output) == 0
    later = {bucket: table.tables for (step, bucket), table in state_of(output).tables.items() if step == "exclude"}
    assert [later[bucket] == tables[bucket] for bucket in range(4)] == [True, True, True, False]
    assert {row["pair_id"] for row in rows(output, "excluded")} == {*pairs, *more}
    assert not {*pairs, *more} & {row["pair_id"] for row in rows(output, "curated")}


def test_a_purge_leaves_nothing_of_what_was_removed_in_any_file(before, blocked, output, urls, listed, capsys):
    wanted = [url for url in urls if any(json.dumps(url)[1:-1] in text for _, text in every_text(before))]
    assert wanted
    assert call("remove_pairs", *WHY, "--urls", listed, "--output", output) == 0
    assert call("purge_removed", "--output", output) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert call("purge_removed", "--yes", "--output", output) == 0
    found = [(path, url) for path, text in every_text(output) for url in wanted if json.dumps(url)[1:-1] in text]
    assert not found
    raw = [row for row in rows(before, "pool") if url_key(row["image_url"]).text in keys(urls)]
    assert len(rows(output, "pool")) == len(rows(before, "pool")) - len(raw)
    assert rows(output, "pool") == left_of(rows(before, "pool"), urls)
    for archive in rows(output, "archives"):
        reasons = dict(archive["rejected"])
        assert archive["texts"] == archive["pairs"] + sum(n for reason, n in reasons.items() if reason[:5] == "text.")
    purged = sum(dict(archive["rejected"]).get("text.purged", 0) for archive in rows(output, "archives"))
    assert purged >= len(raw)
    for table in ("entry_counts", "curated"):
        assert rows(output, table) == rows(blocked, table)
    explained = open_run(str(output)).explain(url=wanted[0].replace("https://", "http://"))
    assert explained.pairs_in_all == 0
    assert [(each.number, each.kind, each.reason) for each in explained.removed_by] == [
        (number, "url", "ticket 123") for number in state_of(output).removals
    ]
    assert "which lists its url: 'ticket 123'" in str(explained)
    assert report_of(output)["removals"][0]["values"] == len(urls)
    summary = (output / state_of(output).finished.report / "TRAINING_CONTENT.md").read_text()
    assert f"Removal requests: 1, of {len(urls)} values" in summary
    # A second purge finds nothing to do, and archives that were read are not read again.
    waves = list(state_of(output).waves)
    assert call("curate", *CURATE, "--output", output, "--resume") == 0
    assert list(state_of(output).waves) == waves
    capsys.readouterr()
    assert call("purge_removed", "--output", output) == 0
    assert "0 raw pairs in 0 waves" in capsys.readouterr().out


def test_an_image_that_was_dropped_does_not_come_back_and_is_purged_wherever_it_lies(small, tmp_path, capsys):
    output = shutil.copytree(small / "run", tmp_path / "run")
    removed_urls = [DRAWN, UNDRAWN, "images.example/with", "longlong"]
    held = "".join(text for _, text in every_text(output))
    assert all(url in held for url in removed_urls)
    removing = ("--images", small / "images.txt", "--urls", small / "urls.txt", "--output", output)
    assert call("remove_pairs", *WHY, "--mode", "drop", *removing) == 0
    refused = {
        (): "no --downloaded tells it: give --downloaded that tells their sha256",
        ("--downloaded", small / "md5.parquet"): "--downloaded tells md5: give --downloaded that tells their sha256",
    }
    for rules, told in refused.items():
        assert call("curate", *curate_small(small), *rules, "--resume", "--output", output) == 2
        assert f"images were removed from {output} by their sha256, and {told}, so" in capsys.readouterr().err
    assert call("purge_removed", "--yes", "--output", output) == 0
    assert "purged: 4 raw pairs in 1 wave" in capsys.readouterr().out
    assert len(rows(output, "matched")) == len(DOGS) - 2
    left = "".join(text for _, text in every_text(output))
    assert [url for url in removed_urls if url in left] == []
    assert {row["reason"] for row in rows(output, "rejects")} == {"text.empty", "image.not_a_string"}


def test_every_kind_of_list_names_the_pairs_that_a_block_list_would(before, output, tmp_path, capsys):
    matched = rows(before, "matched")
    pages = sorted({row["page_url"] for row in matched if row["page_url"]})
    lists = {
        "domains": [matched[0]["image_url"].split("/")[2]],
        "prefixes": [matched[7]["image_url"].rpartition("/")[0] + "/"],
        "pages": [pages[0], pages[-1]],
        "page-domains": [pages[len(pages) // 2].split("/")[2]],
        "texts": [matched[3]["alt_text"], "no such text"],
        "pairs": [matched[11]["pair_id"], "0" * 32],
    }
    paths = {name: write_list(tmp_path, values, f"{name}.txt") for name, values in lists.items()}
    removing = [part for name, path in paths.items() for part in (f"--{name}", path)]
    assert call("remove_pairs", *WHY, "--dry-run", *removing, "--output", output) == 0
    told = capsys.readouterr().out
    assert "nothing was written" in told
    assert not state_of(output).removals
    assert call("remove_pairs", *WHY, *removing, "--output", output) == 0
    assert told.splitlines()[1:-1] == capsys.readouterr().out.splitlines()[1 : len(told.splitlines()) - 1]
    blocking = [part for name, path in paths.items() for part in (f"--block-{name}", path)]

    blocked = shutil.copytree(before, tmp_path / "blocked")
    assert call("exclude_pairs", *blocking, "--output", blocked) == 0
    assert rows(output, "excluded") == rows(blocked, "excluded")
    [removal] = removed(output)
    reasons = [row["reason"] for row in rows(output, "excluded")]
    assert removal.matched == {kind: reasons.count(f"removed.{kind}") for kind in removal.values}
    assert removal.without_pairs == {kind: int(kind in {"text", "pair"}) for kind in removal.values}


@pytest.mark.parametrize(
    ("job", "options", "told"),
    [
        ("remove_pairs", (), "--reason must be given"),
        ("remove_pairs", ("--reason", " ", "--urls", "{list}"), "--reason is empty: say why"),
        ("remove_pairs", WHY, "nothing is listed: give one of --pairs, --urls"),
        ("remove_pairs", (*WHY, "--urls", "missing.txt"), "--urls missing.txt: no such file"),
        ("remove_pairs", (*WHY, "--domains", "{suffix}"), "co.uk is a public suffix"),
        ("remove_pairs", (*WHY, "--urls", "{nothing}"), "nothing.txt lists nothing: give at least one value"),
        ("remove_pairs", (*WHY, "--images", "{hash}"), "--images needs hashes of images, and"),
        ("remove_pairs", ("--reason", "https://x.example/", "--urls", "{list}"), "--reason holds a URL"),
        ("remove_pairs", (*WHY, "--urls", "{list}", "--overwrite"), "--overwrite: what was removed stays removed"),
        ("remove_pairs", (*WHY, "--urls", "{list}", "--output", "{empty}"), "holds no run"),
        ("remove_pairs", (*WHY, "--allow-public-suffix", "--urls", "{list}"), "--allow-public-suffix needs --domains"),
        ("purge_removed", (), "has no removals: register one with remove"),
        ("purge_removed", ("--overwrite",), "--overwrite: a purge changes what it must"),
    ],
)
def test_what_cannot_be_removed_is_one_line(before, job, options, told, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {
        "list": write_list(tmp_path, ["https://example.org/a.jpg"]),
        "nothing": write_list(tmp_path, ["# nothing"], "nothing.txt"),
        "hash": write_list(tmp_path, ["0" * 64], "hash.txt"),
        "suffix": write_list(tmp_path, ["co.uk"], "suffix.txt"),
        "empty": tmp_path / "empty",
    }
    given = [str(option).format(**places) for option in options]
    number = state_of(before).number
    assert call(job, "--output", before, *given) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert told in line
    assert not state_of(before).removals
    assert state_of(before).number <= number + 2


def test_a_removal_that_was_stopped_is_concluded_by_the_command_that_goes_on(small, tmp_path):
    output, listed = shutil.copytree(small / "run", tmp_path / "run"), write_list(tmp_path, [DRAWN])
    with continue_run(OutputConfig(str(output)), name="remove") as run:
        removal, made = read_listed(RemovalConfig("ticket 123", urls=(str(listed),))), again(run)
        number = register(run, judging_for(made, removal), removal, made)
    assert state_of(output).pending == {number}
    rules = ("--downloaded", small / "sha256.parquet", "--resume", "--output", output)
    assert call("curate", *curate_small(small), *rules) == 0
    curated, done = rows(output, "curated"), state_of(output).concluded[number]
    assert DRAWN not in {row["image_url"] for row in curated}
    assert (done.mode, done.pairs, done.entered) == ("rebalance", len(curated), 0)
    assert not state_of(output).pending
    assert list(output.glob("curated-*")) == [folder_of(output, "curated")]


def test_a_run_without_a_curated_set_excludes_what_was_removed_when_it_goes_on(urls, listed, tmp_path, capsys):
    output = tmp_path / "run"
    archives = CURATE[: CURATE.index("--metadata")]
    assert call("extract_pool", *archives, "--output", output) == 0
    assert call("remove_pairs", *WHY, "--mode", "drop", "--urls", listed, "--output", output) == 0
    shown = capsys.readouterr().out
    assert "has no curated set yet" in shown
    assert f"urls: {len(urls)} values, for when pairs are matched: there are none yet" in shown
    assert call("match_pool", "--metadata", METADATA, "--output", output) == 0
    assert call("count_entries", "--metadata", METADATA, "--output", output) == 2
    assert call("exclude_pairs", "--output", output) == 0
    assert rows(output, "excluded")
    assert not keys(urls) & keys(row["image_url"] for row in rows(output, "eligible"))
    assert call("count_entries", "--metadata", METADATA, "--output", output) == 0
    assert call("sample_pairs", "--threshold-t", 10, "--output", output) == 0
    assert not state_of(output).pending
