"""The whole job on the sample, in one process: against the oracle, and under every variation that must not matter."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark import open_run
from metaclip_spark.commands.curation import img2dataset_lines
from metaclip_spark.commands.main import main
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import InputError
from metaclip_spark.reports.records import Report
from metaclip_spark.reuse import reusable_report
from metaclip_spark.runs.layout import report_file
from metaclip_spark.runs.open import read_log
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import STEPS
from metaclip_spark.stores.storage import Storage
from tests.support import oracle
from tests.support.jobs import (
    METADATA,
    SAMPLE,
    call,
    content,
    files_of,
    folder_of,
    manifest_of,
    report_of,
    rows,
    run_json,
    state_of,
    written,
)

THRESHOLD = 20
SEED = 5
BALANCE = ("--metadata", METADATA, "--threshold-t", THRESHOLD, "--seed", SEED)
DONE = [name for name, step in STEPS.items() if not step.optional]
WARCS = ("--archives", SAMPLE / "*.warc.gz")


pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "reference"
    assert call("curate", *WARCS, *BALANCE, "--output", folder) == 0
    return folder


@pytest.fixture(scope="module")
def by_image(output, tmp_path_factory):
    """The same run, sampled again with a row for each image."""
    folder = shutil.copytree(output, tmp_path_factory.mktemp("runs") / "by-image")
    again = ("--threshold-t", THRESHOLD, "--seed", SEED, "--output", folder, "--resume")
    assert call("sample_pairs", *again, "--one-row-per-image") == 0
    assert call("report_curation", "--output", folder) == 0
    return folder


@pytest.fixture(scope="module")
def expected():
    entries = oracle.read_entries(METADATA)
    pairs = oracle.oracle_pairs(sorted(SAMPLE.glob("*.warc.gz")))
    pool = oracle.pool(pairs)
    matched = oracle.match(pool, entries)
    counts = oracle.count(matched, entries)
    return {"entries": entries, "pairs": pairs, "pool": pool, "matched": matched, "counts": counts}


def test_pool_matched_counts_and_curated_equal_the_oracle(output, expected):
    pool_columns = rows(output, "pool")[0].keys()
    assert rows(output, "pool") == [
        {name: row[name] for name in pool_columns} for row in sorted(expected["pool"], key=lambda row: row["pair_id"])
    ]
    matched = {row["pair_id"]: list(row["entry_ids"]) for row in expected["matched"]}
    assert {row["pair_id"]: row["entry_ids"] for row in rows(output, "matched")} == matched
    counted = sorted(rows(output, "entry_counts"), key=lambda row: row["entry_id"])
    assert [row["entry_count"] for row in counted] == list(expected["counts"])
    assert [row["entry_text"] for row in counted] == list(expected["entries"])
    kept = oracle.keep(expected["matched"], expected["counts"], THRESHOLD, SEED)
    curated = rows(output, "curated")
    assert [row["pair_id"] for row in curated] == sorted(row["pair_id"] for row in kept)
    for row in curated:
        probability = oracle.keep_probability(row["entry_ids"], expected["counts"], THRESHOLD)
        assert row["keep_probability"] == pytest.approx(probability, rel=1e-12)


def test_the_funnel_adds_up_and_run_json_tells_it(output, expected):
    report = report_of(output)
    for line in report["funnel"]:
        assert line["in_number"] == line["out_number"] + sum(line["reasons"].values()), line
    numbers = {step: done["numbers"] for step, done in run_json(output)["steps"].items()}
    assert run_json(output)["status"] == "done"
    assert numbers["extract"]["pairs"] == len(expected["pairs"])
    assert numbers["deduplicate"]["pairs"] == len(rows(output, "pool"))
    assert numbers["match"]["pairs"] == len(rows(output, "matched"))
    assert numbers["count"]["matches"] == sum(expected["counts"])
    assert numbers["sample"]["pairs"] == len(rows(output, "curated"))
    assert report["expected_size"] == pytest.approx(
        oracle.expected_size(expected["matched"], expected["counts"], THRESHOLD), abs=1e-3
    )
    for archive in rows(output, "archives"):
        reasons = dict(archive["rejected"])
        for total, part, prefix in (
            ("records", "pages", "record."),
            ("images", "images_kept", "image."),
            ("texts", "pairs", "text."),
        ):
            lost = sum(number for reason, number in reasons.items() if reason.startswith(prefix))
            assert archive[total] == archive[part] + lost


@pytest.mark.parametrize(
    "variation",
    [
        ("--rows-per-file", 1_250, "--engine", "pyahocorasick"),
        ("--rows-per-file", 400, "--archives-per-wave", 2, "--waves-at-once", 2),
    ],
    ids=lambda variation: "_".join(map(str, variation)).strip("-"),
)
def test_layout_engine_and_waves_change_no_row(output, tmp_path, variation, spark):
    spark.sparkContext.setJobDescription("mine")
    assert call("curate", *WARCS, *BALANCE, "--output", tmp_path / "out", *variation) == 0
    assert spark.sparkContext.getLocalProperty("spark.job.description") == "mine"
    spark.sparkContext.setJobDescription(None)
    assert content(tmp_path / "out") == content(output)
    waves = 3 if "--archives-per-wave" in variation else 1
    assert len(state_of(tmp_path / "out").waves) == waves
    in_waves = {f"extract: wave {number + 1}, {6 // waves} archives" for number in range(waves)}
    assert descriptions(spark, tmp_path / "out") == in_waves | {*DONE, "extract: rejects", "report"} - {"extract"}


def descriptions(spark, run):
    """What Spark's UI calls the jobs that a run's last driver has started."""
    jobs = spark._jsparkSession.sparkContext().statusStore().jobsList(None)
    tag = f"metaclip-spark-{state_of(run).owner.owner}"
    ours = [job for place in range(jobs.size()) if (job := jobs.apply(place)).jobTags().contains(tag)]
    described = [job.description() for job in ours]
    return {each.get() if each.isDefined() else "nothing" for each in described}


def test_each_file_is_sorted_by_pair_id(output):
    for table in ("pool", "matched", "curated"):
        assert files_of(output, table)
        for path in files_of(output, table):
            ids = pq.ParquetFile(path).read(["pair_id"]).column("pair_id").to_pylist()
            assert ids == sorted(ids)


def test_the_steps_one_by_one_give_the_same(output, tmp_path):
    folder = ("--output", tmp_path / "out")
    assert call("extract_pool", *WARCS, *folder) == 0
    assert call("match_pool", "--metadata", METADATA, *folder) == 0
    assert call("count_entries", "--metadata", METADATA, *folder) == 0
    assert call("sample_pairs", "--threshold-t", THRESHOLD, "--seed", SEED, *folder) == 0
    assert not (tmp_path / "out" / "run.json").exists()
    assert call("report_curation", *folder) == 0
    assert content(tmp_path / "out") == content(output)
    digests = [
        {step: done["digest"] for step, done in run_json(run)["steps"].items()} for run in (output, tmp_path / "out")
    ]
    assert digests[0] == digests[1]


def test_match_once_balance_many(output, tmp_path, capfd):
    run = tmp_path / "out"
    shutil.copytree(output, run)
    matched_before = files_of(run, "matched")
    assert call("sample_pairs", "--threshold-t", 5, "--output", run) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert call("sample_pairs", "--threshold-t", 5, "--seed", SEED, "--output", run, "--overwrite") == 0
    smaller = {row["pair_id"] for row in rows(run, "curated")}
    assert smaller < {row["pair_id"] for row in rows(output, "curated")}
    assert files_of(run, "matched") == matched_before
    assert all(path.is_file() for path in matched_before)
    assert call("curate", *WARCS, "--metadata", METADATA, "--threshold-t", "inf", "--output", run, "--resume") == 0
    assert len(rows(run, "curated")) == len(rows(run, "matched"))
    assert "nothing is thinned" in run_json(run)["warnings"][0]


WITHOUT_SPARK = """
import sys
from metaclip_spark.commands.curation import curate
code = curate(sys.argv[1:])
slow = {"pandas", "numba", "matplotlib", "jinja2"}.intersection(sys.modules)
sys.exit(f"exit code {code}, imported: {slow}" if code or slow else 0)
"""


def files(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_resume_of_a_finished_run_needs_no_java_and_writes_nothing(output, tmp_path):
    before = files(output)
    command = [sys.executable, "-c", WITHOUT_SPARK, *WARCS, *BALANCE, "--output", output, "--resume"]
    without_java = {**os.environ, "JAVA_HOME": str(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run(list(map(str, command)), env=without_java, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"INFO (\w+): already done, reused", done.stderr) == [*DONE, "report"]
    assert f"Run finished: {output}" in done.stdout
    assert files(output) == before


def test_resume_of_a_finished_step_starts_no_spark(output, monkeypatch, capfd):
    from metaclip_spark.runs import open as opening

    before = files(output)
    monkeypatch.setattr(opening, "get_session", None)
    metadata = ("--metadata", METADATA)
    for job, step, *options in (
        ("extract_pool", "extract", *WARCS),
        ("match_pool", "match", *metadata),
        ("count_entries", "count", *metadata),
        ("sample_pairs", "sample", "--threshold-t", THRESHOLD, "--seed", SEED),
        ("report_curation", "report"),
    ):
        assert call(job, *options, "--output", output, "--resume") == 0
        assert f"{step}: already done, reused" in capfd.readouterr().err
    assert files(output) == before
    # What is left to do is left to Spark, and said once.
    with pytest.raises(TypeError, match="NoneType"):
        call("sample_pairs", "--threshold-t", 7, "--output", output, "--resume")
    assert "sample" not in capfd.readouterr().err
    assert files(output) == before


def test_the_summary_ends_with_commands_that_work(output, tmp_path, capfd):
    run = shutil.copytree(output, tmp_path / "my run")
    assert call("curate", *WARCS, *BALANCE, "--output", run, "--resume") == 0
    *_, last = capfd.readouterr().out.partition("\nNext, to look at pairs of an entry that were dropped:\n")
    explain, plan, download = re.findall(r"^  \S.*(?:(?<=\\)\n.*)*", last, re.MULTILINE)
    assert main(shlex.split(explain)[1:]) == 0
    assert "dropped by the draw" in capfd.readouterr().out
    assert main(shlex.split(plan)[1:]) == 0
    following = capfd.readouterr().out.splitlines()[-1]
    assert shlex.split(following)[1:5] == ["metaclip-spark", "sample", "--output", str(run)]
    assert following.endswith("--threshold-t T --overwrite")
    downloaded = shlex.split(download)
    assert downloaded[:3] == ["img2dataset", "--url_list", str(folder_of(run, "curated"))]
    assert "images" in downloaded


def test_other_checks_judge_a_finished_run_anew_without_spark(output, tmp_path, monkeypatch, capfd):
    from metaclip_spark.runs import open as opening

    run = shutil.copytree(output, tmp_path / "out")
    before = report_of(run)
    entries = (run / report_file(state_of(run))).with_name("entries")
    stored = {file.name: file.read_bytes() for file in entries.iterdir()}
    monkeypatch.setattr(opening, "get_session", None)
    resume = ("curate", *WARCS, *BALANCE, "--output", run, "--resume", "--require")
    assert call(*resume, "curated>=1M", "curated_share>=0.5", "matched_share>=99%") == 3
    told = capfd.readouterr()
    matched = len(rows(run, "matched")) / len(rows(run, "pool"))
    unmatched = "the unmatched texts in the report, and the metadata list"
    assert told.err.splitlines()[-2:] == [
        f"error: --require curated>=1M: curated is {len(rows(run, 'curated')):,}; see the funnel in the report",
        f"error: --require matched_share>=99%: matched_share is {matched:.1%}; see {unmatched}",
    ]
    assert told.out.count("\n  FAIL ") == 2 and told.out.count("\n  ok   curated_share>=0.5: ") == 1
    after = report_of(run)
    checks = after.pop("checks")
    assert after == {name: value for name, value in before.items() if name != "checks"}
    assert [check["passed"] for check in checks] == [False, True, False]
    summary = run_json(run)
    assert (summary["status"], summary["checks"]) == ("failed", checks)
    assert summary["report"] == state_of(run).finished.report != state_of(output).finished.report
    assert summary["steps"] == run_json(output)["steps"]
    folder = run / summary["report"]
    assert {file.name: file.read_bytes() for file in (folder / "entries").iterdir()} == stored
    assert '<span class="badge bad">2 failed checks</span>' in (folder / "report.html").read_text()
    # The same once more is told from what is there; without any, the page is as it was.
    assert call(*resume, "curated>=1M", "curated_share>=0.5", "matched_share>=99%") == 3
    assert run_json(run) == summary
    assert call(*resume[:-1]) == 0
    assert (run_json(run)["status"], report_of(run)) == ("done", before)
    page = (run / report_file(state_of(run))).with_name("report.html")
    assert page.read_bytes() == (output / report_file(state_of(output))).with_name("report.html").read_bytes()


def test_a_check_of_another_form_is_refused_before_anything_starts(tmp_path, monkeypatch, capfd):
    from metaclip_spark.runs import open as opening

    monkeypatch.setattr(opening, "get_session", None)
    run = (*WARCS, *BALANCE, "--output", tmp_path / "out")
    for job in (("curate", *run), ("curate", *run, "--dry-run"), ("check_cluster", *run)):
        assert call(*job, "--require", "curated") == 2
        told = capfd.readouterr().err
        assert told.startswith(
            "error: --require 'curated': give a name, one of >=, <=, >, <, == and a number, in quotes"
        )
        assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_a_run_would_do_and_writes_nothing(output, tmp_path, capfd):
    run = ("curate", *WARCS, *BALANCE, "--output")
    before = files(output)
    assert call(*run, output, "--dry-run") == 2
    assert f"--output {output} holds a run: --resume goes on with it" in capfd.readouterr().err
    assert call(*run, output, "--dry-run", "--resume") == 0
    assert "ok   archives: 6 archives, extracted already\n" in capfd.readouterr().out
    assert call(*run, tmp_path / "new", "--dry-run") == 0
    *_, archives, canary, last, following = capfd.readouterr().out.splitlines()
    size = sum(path.stat().st_size for path in SAMPLE.glob("*.warc.gz"))
    assert archives == f"ok   archives: 6 archives, {size / 1000:.0f} kB; the first can be read"
    found = re.fullmatch(
        r"ok   canary: 1 archive in .* of all 6 archives takes about .* writes about (\d+) kB of raw pairs", canary
    )
    written = sum(path.stat().st_size for path in files_of(output, "extracted") if "kind=pair" in path.parts)
    assert int(found[1]) * 1000 == pytest.approx(written, rel=0.3)
    assert last == "nothing was written; a run should work here"
    assert shlex.split(following) == list(map(str, ("Next:", "metaclip-spark", *run, tmp_path / "new")))
    assert not (tmp_path / "new").exists()
    assert files(output) == before


def test_only_the_report_of_what_counts_is_reused(output, tmp_path):
    run = tmp_path / "out"
    shutil.copytree(output, run)
    summary = json.loads((run / "run.json").read_text())
    page = (run / report_file(state_of(run))).with_name("report.html")
    assert reusable(run) == msgspec.json.decode((run / report_file(state_of(run))).read_bytes(), type=Report)
    for wrong in ({"commit": 1}, {"versions": {"metaclip-spark": "0.0.1"}}, {"report_files": {}}):
        (run / "run.json").write_text(json.dumps({**summary, **wrong}))
        assert reusable(run) is None
    (run / "run.json").write_text(json.dumps(summary))
    assert reusable(run)
    page.write_text(page.read_text() + "x")
    assert reusable(run) is None
    page.unlink()
    assert reusable(run) is None


def reusable(folder):
    storage = Storage(str(folder))
    return reusable_report(Run(None, storage, OutputConfig(output=str(folder)), read_log(storage)))


def test_lost_files_are_noticed_never_counted_as_a_gate(output, tmp_path, capfd):
    run = tmp_path / "out"
    shutil.copytree(output, run)
    next(iter(files_of(run, "matched"))).unlink()
    assert call("sample_pairs", "--threshold-t", 7, "--output", run, "--overwrite") == 2
    assert "1 file of the step 'match' is gone" in capfd.readouterr().err
    shutil.rmtree(folder_of(run, "curated"))
    assert call("curate", *WARCS, *BALANCE, "--output", run, "--resume") == 0
    assert capfd.readouterr().err.count("of its files is gone, so it is done again") == 2
    assert content(run) == content(output)
    next(path for path in files_of(run, "extracted") if "kind=pair" in path.parts).unlink()
    for part in written(run, "pool"):
        shutil.rmtree(run / part.folder)
    assert call("curate", *WARCS, *BALANCE, "--output", run, "--resume") == 0
    assert "extract: files of 1 wave are gone: extracted again" in capfd.readouterr().err
    assert content(run) == content(output)


def test_a_suspect_sample_stays_and_says_so(output, tmp_path, capfd, monkeypatch):
    from metaclip_spark.balance import ExpectedSize

    run = tmp_path / "out"
    shutil.copytree(output, run)
    monkeypatch.setattr(ExpectedSize, "is_plausible", lambda *_: False)
    assert call("curate", *WARCS, "--metadata", METADATA, "--threshold-t", 9, "--output", run, "--resume") == 1
    assert "marked suspect in run.json" in capfd.readouterr().err
    assert run_json(run)["status"] == "suspect"
    assert rows(run, "curated")


def test_archives_can_be_added_to_a_finished_run(output, tmp_path):
    archives = sorted(SAMPLE.glob("*.warc.gz"))
    run = tmp_path / "out"
    assert call("curate", "--archives", *archives[:3], *BALANCE, "--output", run) == 0
    assert call("curate", "--archives", *archives, *BALANCE, "--output", run, "--resume") == 0
    assert content(run) == content(output)


def test_the_gate_and_the_languages(output, tmp_path):
    run = tmp_path / "out"
    assert call("curate", *WARCS, *BALANCE, "--output", run, "--preset", "metaclip-english") == 0
    numbers = {step: done["numbers"] for step, done in run_json(run)["steps"].items()}
    assert len(rows(run, "matched")) == len(rows(output, "matched"))
    assert 0 < numbers["count"]["gated_out"] == numbers["sample"]["gated_out"]
    assert {row["language"] for row in rows(run, "curated")} == {"en"}
    assert run_json(run)["deviations_from_the_paper"] == []
    assert call("sample_pairs", "--threshold-t", 5, "--output", run, "--overwrite") == 2
    assert call("sample_pairs", "--threshold-t", 5, "--languages", "en", "--output", run, "--overwrite") == 0


def test_a_gate_without_languages_is_refused_then_match_runs_again(output, tmp_path, capfd):
    run = tmp_path / "out"
    shutil.copytree(output, run)
    count = ("count_entries", "--metadata", METADATA, "--languages", "en", "--output", run, "--overwrite")
    assert call(*count) == 2
    assert "run match again with --identify-language" in capfd.readouterr().err
    assert call("match_pool", "--metadata", METADATA, "--identify-language", "--output", run, "--resume") == 0
    assert "other settings (language_identified)" in capfd.readouterr().err
    assert call(*count) == 0


def test_counts_of_another_run_balance_a_part(output, tmp_path, expected):
    run = tmp_path / "out"
    first = ("--archives", sorted(SAMPLE.glob("*.warc.gz"))[0])
    whole = ("--entry-counts", output / "entry_counts")
    assert call("curate", *first, *BALANCE, *whole, "--output", run) == 0
    kept = {row["pair_id"] for row in rows(run, "curated")}
    in_part = {row["pair_id"] for row in rows(run, "pool")}
    assert kept == {row["pair_id"] for row in rows(output, "curated")} & in_part
    assert rows(run, "balance_counts") == rows(output, "entry_counts")
    as_json = tmp_path / "counts.json"
    as_json.write_text(json.dumps(dict(zip(expected["entries"], expected["counts"], strict=True))))
    options = ("--threshold-t", THRESHOLD, "--seed", SEED, "--entry-counts", as_json)
    assert call("sample_pairs", *options, "--output", run, "--overwrite") == 0
    assert {row["pair_id"] for row in rows(run, "curated")} == kept


def test_tail_share_chooses_the_oracles_threshold(output, tmp_path, expected):
    run = tmp_path / "out"
    shutil.copytree(output, run)
    assert call("sample_pairs", "--tail-share", 0.06, "--output", run, "--overwrite") == 0
    assert manifest_of(run, "sample")["numbers"]["threshold_t"] == oracle.tail_share_threshold(
        expected["counts"], "0.06"
    )


def test_target_pairs_chooses_the_smallest_threshold_that_reaches_them(output, tmp_path, expected, capfd):
    run = tmp_path / "out"
    shutil.copytree(output, run)
    assert call("sample_pairs", "--target-pairs", "2.5k", "--output", run, "--overwrite") == 0
    threshold = manifest_of(run, "sample")["numbers"]["threshold_t"]
    below, reached = (
        oracle.expected_size(expected["matched"], expected["counts"], threshold - less) for less in (1, 0)
    )
    assert below < 2500 <= reached
    matched = len(expected["matched"])
    capfd.readouterr()
    assert call("sample_pairs", "--target-pairs", matched + 1, "--output", run, "--overwrite") == 2
    assert f"is more than the {matched:,} matched pairs" in capfd.readouterr().err


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_pool_of_files_gives_the_same_curated_pairs(output, tmp_path, form):
    pairs = sorted(rows(output, "pool"), key=lambda row: row["alt_text"])
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(3):
        part = [{"link": row["image_url"], "words": f" {row['alt_text']}\t"} for row in pairs[number::3]]
        if form == "parquet":
            pq.write_table(pa.Table.from_pylist(part), inputs / f"{number}.parquet")
        else:
            (inputs / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    run = tmp_path / "out"
    columns = ("--url-column", "link", "--text-column", "words")
    assert call("curate", "--pool", inputs, *columns, *BALANCE, "--output", run) == 0
    assert [row["pair_id"] for row in rows(run, "curated")] == [row["pair_id"] for row in rows(output, "curated")]
    assert {row["page_url"] for row in rows(run, "pool")} == {None}
    assert {row["archive"] for row in rows(run, "pool")} == {f"{number}.{form}" for number in range(3)}


def test_warc_and_wat_give_the_same_pairs(output, tmp_path):
    run = tmp_path / "out"
    assert call("extract_pool", "--archives", SAMPLE / "*.wat.gz", "--output", run) == 0
    from_wat = {row["pair_id"] for row in rows(run, "pool")}
    held_by_wat = {row["pair_id"] for row in rows(output, "pool") if row["source"] != "data-image-title"}
    assert held_by_wat <= from_wat


def test_img2dataset_reads_curated_as_it_is(output, tmp_path):
    read = read_by_img2dataset(str(folder_of(output, "curated")), "image_url", "alt_text", ["pair_id"], tmp_path)
    curated = rows(output, "curated")
    assert sorted((row["pair_id"], row["url"], row["caption"]) for row in read) == sorted(
        (row["pair_id"], row["image_url"], row["alt_text"]) for row in curated
    )


def read_by_img2dataset(folder, url_column, caption_column, more_columns, scratch):
    """Reads a table as img2dataset does, into the rows that its downloaders get."""
    shards = scratch / "shards"
    shards.mkdir()
    reader = img2dataset_reader().Reader(
        url_list=folder,
        input_format="parquet",
        url_col=url_column,
        caption_col=caption_column,
        verify_hash_col=None,
        verify_hash_type=None,
        save_additional_columns=more_columns,
        number_sample_per_shard=1000,
        done_shards=set(),
        tmp_path=str(shards),
    )
    return [row for _, path in reader for row in pa.ipc.open_file(path).read_all().to_pylist()]


def img2dataset_reader():
    """Loads img2dataset's reader alone: the package's own start imports its image libraries."""
    folder = importlib.util.find_spec("img2dataset").submodule_search_locations[0]
    specification = importlib.util.spec_from_file_location("img2dataset_reader", Path(folder) / "reader.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_one_row_per_image_holds_every_curated_pair_once(by_image, output):
    images: dict[str, list[dict]] = {}
    for row in rows(output, "curated"):
        images.setdefault(row["image_url"], []).append(row)
    shared = [pairs for pairs in images.values() if len(pairs) > 1]
    assert shared
    assert rows(by_image, "curated_images") == [
        {
            "image_url": url,
            "texts": [pair["alt_text"] for pair in pairs],
            "pair_ids": [pair["pair_id"] for pair in pairs],
            "keep_probabilities": [pair["keep_probability"] for pair in pairs],
        }
        for url, pairs in sorted(images.items())
    ]
    assert content(by_image) == content(output)
    for path in files_of(by_image, "curated_images"):
        first = [pair_ids[0] for pair_ids in pq.ParquetFile(path).read(["pair_ids"])["pair_ids"].to_pylist()]
        assert first == sorted(first)
    numbers = run_json(by_image)["steps"]["sample"]["numbers"]
    assert numbers.pop("images") == len(images)
    assert numbers == run_json(output)["steps"]["sample"]["numbers"]
    assert report_of(by_image)["images"] == len(images)
    card = (by_image / report_file(state_of(by_image))).with_name("DATA_CARD.md").read_text("utf-8")
    assert f"| images | {len(images):,} |" in card


def test_one_row_per_image_is_a_table_of_the_sample_step(by_image, output, tmp_path, capfd):
    run = shutil.copytree(by_image, tmp_path / "out")
    folder = folder_of(run, "curated_images")
    assert call("table_path", run, "curated_images") == 0
    assert capfd.readouterr().out.strip() == str(folder)
    next(iter(files_of(run, "curated_images"))).unlink()
    resume = ("sample_pairs", "--threshold-t", THRESHOLD, "--seed", SEED, "--output", run, "--resume")
    assert call(*resume, "--one-row-per-image") == 0
    assert "sample: 1 of its files is gone, so it is done again" in capfd.readouterr().err
    assert rows(run, "curated_images") == rows(by_image, "curated_images")
    # The next attempt deletes what no longer counts.
    assert call(*resume) == 0
    assert "sample: other settings (one_row_per_image), so it is done again" in capfd.readouterr().err
    assert not folder.exists()
    assert manifest_of(run, "sample")["config"] == manifest_of(output, "sample")["config"]
    assert manifest_of(run, "sample")["numbers"] == manifest_of(output, "sample")["numbers"]
    assert call("report_curation", "--output", run) == 0
    capfd.readouterr()
    assert call("table_path", run, "curated_images") == 2
    told = "has no table 'curated_images': its step 'sample' was done without --one-row-per-image"
    assert told in capfd.readouterr().err


def test_the_library_reads_one_row_per_image(by_image, output):
    found = open_run(by_image).curated_images.orderBy("image_url").collect()
    assert [row.asDict() for row in found] == rows(by_image, "curated_images")
    with pytest.raises(InputError, match="was done without --one-row-per-image"):
        _ = open_run(output).curated_images


def test_one_row_per_image_does_not_count_before_the_entry_of_its_step(by_image, tmp_path, monkeypatch):
    run = shutil.copytree(by_image, tmp_path / "out")
    resume = ("sample_pairs", "--threshold-t", THRESHOLD + 1, "--seed", SEED, "--output", run, "--resume")
    before = folder_of(run, "curated_images")

    def stop(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Run, "commit", stop)
        with pytest.raises(RuntimeError, match="killed"):
            call(*resume, "--one-row-per-image")
    (left,) = [each for each in (run / "curated_images").iterdir() if each != before]
    assert folder_of(run, "curated_images") == before
    assert call(*resume, "--one-row-per-image") == 0
    assert not left.exists()
    pairs = sorted(pair for row in rows(run, "curated_images") for pair in row["pair_ids"])
    assert pairs == [row["pair_id"] for row in rows(run, "curated")]


def test_img2dataset_keeps_the_texts_of_an_image(by_image, tmp_path):
    lines = img2dataset_lines(str(folder_of(by_image, "curated_images")), by_image=True)
    options = shlex.split(" ".join(line.rstrip("\\") for line in lines))[1:]
    given = dict(zip(options[::2], options[1::2], strict=True))
    read = read_by_img2dataset(
        given["--url_list"], given["--url_col"], None, json.loads(given["--save_additional_columns"]), tmp_path
    )
    assert {row["url"]: (row["texts"], row["pair_ids"]) for row in read} == {
        row["image_url"]: (row["texts"], row["pair_ids"]) for row in rows(by_image, "curated_images")
    }


@pytest.mark.skipif("METACLIP_TEST_DATA" not in os.environ, reason="METACLIP_TEST_DATA names no folder")
@pytest.mark.parametrize("name", ["gimp-en.warc.gz", "debian-docs.warc.wat.gz"])
def test_real_archives_give_a_curated_set(tmp_path, name):
    archives = Path(os.environ["METACLIP_TEST_DATA"]) / "archives"
    told = json.loads((archives / "EXPECTED.json").read_text())[name]
    run = tmp_path / "out"
    options = ("--metadata", METADATA, "--tail-share", 0.06)
    assert call("curate", "--archives", archives / name, *options, "--output", run) == 0
    numbers = run_json(run)["steps"]["extract"]["numbers"]
    assert numbers["pages"] == told["pages"]
    assert numbers["images"] == told["imgs"]
    assert len([row for row in rows(run, "pool") if row["source"] == "alt"]) == told["distinct_pairs"]
    assert 0 < len(rows(run, "curated")) < len(rows(run, "matched"))
