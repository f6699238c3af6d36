"""Bad input given to the jobs: one line and exit code 2 before Spark works, or a counted row in a finished run."""

import gzip
import json
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.reports.compare import check_other
from tests.support.archive_files import http_response, page_record, warc_record
from tests.support.jobs import METADATA, SAMPLE, call, manifest_of, rows, run_json, state_of

BALANCE = ("--metadata", METADATA, "--threshold-t", 20)
FEW_ENTRIES = '["a", "dog", "house", "the"]'
ONE = SAMPLE / "sample-00000.warc.gz"
pytestmark = pytest.mark.usefixtures("spark")
PAIR = {"url": "https://example.org/a.jpg", "text": "a dog"}


def refused(capfd, job: str, *options: object) -> str:
    """Runs a job that must end with exit code 2 and one line."""
    assert call(job, *options) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def write_pool(folder, **files: list[dict]) -> None:
    folder.mkdir()
    for name, content in files.items():
        pq.write_table(pa.Table.from_pylist(content), folder / f"{name}.parquet")


@pytest.fixture
def balance(tmp_path):
    """A list of a few entries: for what the list's size does not matter to."""
    (tmp_path / "few.json").write_text(FEW_ENTRIES)
    return ("--metadata", tmp_path / "few.json", "--threshold-t", 20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert call("curate", "--archives", ONE, *BALANCE, "--output", folder) == 0
    return folder


def test_archive_that_is_not_there(tmp_path, capfd):
    message = refused(capfd, "curate", "--archives", tmp_path / "x.warc.gz", *BALANCE, "--output", tmp_path / "out")
    assert message == f"error: --archives {tmp_path}/x.warc.gz: no such file or folder"
    assert not (tmp_path / "out").exists()


def test_glob_without_a_match(tmp_path, capfd):
    assert "matches no file" in refused(capfd, "curate", "--archives", "*.nope", *BALANCE, "--output", tmp_path / "out")


def test_missing_line_of_a_path_list(tmp_path, capfd, balance):
    paths = tmp_path / "warc.paths"
    paths.write_text(f"{ONE.name}\nlost.warc.gz\n")
    options = ("--archives", paths, "--archives-prefix", SAMPLE, *balance, "--output", tmp_path / "out")
    assert call("curate", *options, "--attempts", 2) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("error: --archives: lost.warc.gz could not be read: No such file or directory")
    assert last.endswith("; --resume tries it again, --max-failed-archives 1 goes on without it")
    assert call("curate", *options, "--resume", "--attempts", 1, "--max-failed-archives", 1) == 0
    statuses = {row["archive"]: row["status"] for row in rows(tmp_path / "out", "archives")}
    assert statuses == {ONE.name: "ok", "lost.warc.gz": "failed"}
    assert [row["archive"] for row in rows(tmp_path / "out", "rejects") if row["stage"] == "archive"] == [
        "lost.warc.gz"
    ]
    assert any("could not be read" in warning for warning in run_json(tmp_path / "out")["warnings"])


def test_empty_archives(tmp_path, balance):
    (tmp_path / "in").mkdir()
    for name in ("none.warc.gz", "none.wat"):
        (tmp_path / "in" / name).write_bytes(b"")
    assert call("curate", "--archives", tmp_path / "in", *balance, "--output", tmp_path / "out") == 3
    statuses = {row["archive"]: (row["status"], row["records"]) for row in rows(tmp_path / "out", "archives")}
    assert statuses["none.warc.gz"] == statuses["none.wat"] == ("ok", 0)
    assert "2 archives have 0 bytes" in run_json(tmp_path / "out")["warnings"]


def test_archives_that_lost_every_page_are_named(tmp_path, capfd, balance):
    """In the terminal, run.json, the report and the data card, where their names are no markup."""
    not_found = warc_record(http_response(b"<html>", status="404 Not Found"))
    strange = warc_record(b"", kind="strange")
    (tmp_path / "in").mkdir()
    lost, unknown = "<b>lost</b>.warc", "unknown.warc"
    (tmp_path / "in" / "<b>lost<").mkdir()
    (tmp_path / "in" / lost).write_bytes(not_found * 2)
    (tmp_path / "in" / unknown).write_bytes(page_record(0) + strange * 3)
    (tmp_path / "in" / "only_requests.warc").write_bytes(warc_record(b"GET / HTTP/1.1\r\n\r\n", kind="request"))
    assert call("curate", "--archives", tmp_path / "in", *balance, "--output", tmp_path / "out") == 0
    warned = [
        f"1 archive holds responses but no page, see `rejected` in archives/: {lost}",
        f"3 records of unknown type were left out (record.skipped_unknown) of 1 archive: {unknown}",
    ]
    assert [line for line in run_json(tmp_path / "out")["warnings"] if "archive" in line] == warned
    # The summary is broken between words.
    assert warned[0] in " ".join(capfd.readouterr().out.split())
    report = tmp_path / "out" / state_of(tmp_path / "out").finished.report
    assert "&lt;b&gt;lost&lt;/b&gt;.warc" in (report / "report.html").read_text()
    assert "&lt;b&gt;lost&lt;/b&gt;.warc" in (report / "DATA_CARD.md").read_text()
    assert lost not in (report / "DATA_CARD.md").read_text()


@pytest.mark.parametrize("text", ["zzzz", "  "], ids=["no_match", "no_pair"])
def test_no_pair_and_no_matched_pair(tmp_path, capfd, balance, text):
    write_pool(tmp_path / "in", pairs=[{**PAIR, "text": text}])
    required = ("--require", "curated>=1", "matched_share==0")
    assert call("curate", "--pool", tmp_path / "in", *balance, "--output", tmp_path / "out", *required) == 3
    *_, empty, failed = capfd.readouterr().err.splitlines()
    assert failed == "error: --require curated>=1: curated is 0; see the funnel in the report"
    assert empty == (
        "error: the curated set is empty: "
        + ("No pair matched any metadata entry. Check that the list fits the texts." if text.strip() else
           "No pair was extracted. See rejects/, and what --archives or --pool names.")
    )  # fmt: skip
    assert run_json(tmp_path / "out")["status"] == "empty"
    page = tmp_path / "out" / state_of(tmp_path / "out").finished.report / "report.html"
    assert '<span class="badge bad">empty</span>' in page.read_text()
    assert rows(tmp_path / "out", "curated") == []
    assert run_json(tmp_path / "out")["steps"]["count"]["numbers"]["matches"] == 0


def test_too_many_bad_records(tmp_path, capfd):
    (tmp_path / "in.jsonl").write_text(json.dumps(PAIR) + "\n{broken\n{broken\n")
    options = ("--pool", tmp_path / "in.jsonl", "--output", tmp_path / "out")
    assert call("extract_pool", *options) == 1
    message = capfd.readouterr().err
    assert "66.7% of 3 records are bad (limit 5%), most often record.invalid_json (2)" in message
    assert call("extract_pool", *options, "--resume", "--max-rejects", 0.7) == 0
    assert [row["record_offset"] for row in rows(tmp_path / "out", "rejects")] == [1, 2]


def test_wrong_schema_in_one_of_many(tmp_path, capfd):
    write_pool(tmp_path / "in", a=[PAIR], b=[{"url": "u", "caption": "t"}], c=[PAIR])
    message = refused(capfd, "curate", "--pool", tmp_path / "in", *BALANCE, "--output", tmp_path / "out")
    assert message.startswith("error: --pool: 1 of 3 files cannot be used: ")
    assert "b.parquet (no column text; it has url, caption)" in message
    assert not (tmp_path / "out").exists()


def test_half_written_parquet(tmp_path, capfd):
    write_pool(tmp_path / "in", a=[PAIR])
    path = tmp_path / "in" / "a.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    assert "half-written" in refused(capfd, "curate", "--pool", path, *BALANCE, "--output", tmp_path / "out")


def test_zero_row_parquet(tmp_path):
    write_pool(tmp_path / "in", a=[PAIR])
    pq.write_table(pa.table({"url": pa.array([], "string"), "text": pa.array([], "string")}), tmp_path / "in/b.parquet")
    assert call("extract_pool", "--pool", tmp_path / "in", "--output", tmp_path / "out") == 0
    assert [row["alt_text"] for row in rows(tmp_path / "out", "pool")] == ["a dog"]


def test_broken_jsonl_line(tmp_path):
    good = (json.dumps(PAIR) + "\n") * 30
    (tmp_path / "in.jsonl").write_text(good + "{broken\n" + good)
    assert call("extract_pool", "--pool", tmp_path / "in.jsonl", "--output", tmp_path / "out") == 0
    (reject,) = rows(tmp_path / "out", "rejects")
    assert (reject["reason"], reject["record_offset"]) == ("record.invalid_json", 30)
    assert rows(tmp_path / "out", "archives")[0]["pairs"] == 60


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b'["a", "dog", "a"]', ": 1 of 3 entries repeats an earlier one: id 2 ('a'); {fix} it", id="twice"),
        pytest.param(
            b'["a", " ", ""]',
            ": 2 of 3 entries are empty or white space only: ids 1 (' '), 2 (''); {fix} them",
            id="empty",
        ),
        pytest.param(
            b'["a", ',
            " is not valid JSON: Expecting value: line 1 column 7 (char 6); plain text must be named .txt",
            id="broken",
        ),
        pytest.param(b"[]", " has no entries", id="no_entry"),
        pytest.param(b'["a", 5]', ": 1 of 2 entries is not a string: id 1 (5); {fix} it", id="not_text"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, capfd, content, message):
    (tmp_path / "m.json").write_bytes(content)
    options = ("--archives", ONE, "--metadata", tmp_path / "m.json", "--threshold-t", 20, "--output", tmp_path / "out")
    name = tmp_path / "m.json"
    fix = f"metaclip-spark lint-metadata {name} --fix clean.json writes the list without"
    assert refused(capfd, "curate", *options) == f"error: --metadata {name}{message.format(fix=fix)}"


NOT_LISTS = {
    "meta.csv": (
        b"entry,count\ndog,3\ncat,2\nhouse,1\n",
        ": looks like CSV (every line has a comma; 4 of 4 entries can never match); give a list with one entry a line",
    ),
    "meta.tsv": (
        b"dog\t3\ncat\t2\n",
        ": looks like tab-separated values (every line has a tab; 2 of 2 entries can never match); give a list with "
        "one entry a line",
    ),
    "prose.txt": (b"St. Louis\nU.S.\ndog\n", ": 2 of 3 entries can never match; give a list with one entry a line"),
    "some.warc.gz": (
        ONE.read_bytes(),
        " is a WARC archive, not a list of entries; are --archives and --metadata swapped?",
    ),
    "report.png": (b"\x89PNG\r\n\x1a\n\xff", " is a PNG image, not a list of entries"),
    "image.json.gz": (gzip.compress(b"\xff\xd8\xff\xe0"), " is a JPEG image, not a list of entries"),
    "twice.txt.gz": (gzip.compress(gzip.compress(b"dog\n")), " is compressed twice, not a list of entries"),
    "latin.txt": (b"caf\xe9\n", " is not UTF-8 at byte 3: convert it to UTF-8"),
    "blank.txt": (
        b"dog\ncat\n\n",
        ": 1 of 3 entries is empty or white space only: id 2 (''); metaclip-spark lint-metadata {name} --fix "
        "clean.json writes the list without it",
    ),
}


@pytest.mark.parametrize("name", NOT_LISTS)
def test_a_metadata_list_that_is_something_else(tmp_path, capfd, name):
    content, message = NOT_LISTS[name]
    (tmp_path / name).write_bytes(content)
    options = ("--archives", ONE, "--metadata", tmp_path / name, "--threshold-t", 20, "--output", tmp_path / "out")
    expected = f"error: --metadata {tmp_path / name}{message.format(name=tmp_path / name)}"
    assert refused(capfd, "curate", *options) == expected
    assert not (tmp_path / "out").exists()


def test_a_metadata_list_that_is_not_there(tmp_path, capfd):
    options = ("--archives", ONE, "--metadata", "nope.json", "--threshold-t", 20, "--output", tmp_path / "out")
    assert refused(capfd, "curate", *options) == "error: --metadata nope.json: no such file"


def test_few_entries_that_can_never_match_are_a_warning(tmp_path, capfd):
    (tmp_path / "m.txt").write_text("dog\ncat\nSt. Louis\n")
    options = ("--metadata", tmp_path / "m.txt", "--threshold-t", 20, "--output", tmp_path / "out")
    refused(capfd, "curate", "--archives", tmp_path / "none.warc", *options)
    write_pool(tmp_path / "in", pairs=[PAIR])
    assert call("match_pool", "--metadata", tmp_path / "m.txt", "--output", tmp_path / "none") == 2
    assert (
        f"WARNING {tmp_path}/m.txt: 1 of 3 entries can never match, such as #2 'St. Louis'; metaclip-spark "
        "lint-metadata names them all"
    ) in capfd.readouterr().err


def test_languages_that_the_model_does_not_know(tmp_path, capfd):
    options = ("--archives", ONE, *BALANCE, "--output", tmp_path / "out", "--languages", "eng")
    message = "error: --languages eng: fastText knows no such language; did you mean en? (see --help)"
    assert refused(capfd, "curate", *options).startswith(message[: message.index(" (see")])


@pytest.mark.parametrize("failing", [1, 2])
def test_archives_that_are_error_pages_are_told_and_tried_once(tmp_path, capfd, balance, failing):
    (tmp_path / "in").mkdir()
    page = b"<html><head><title>403 Forbidden</title></head><body>no</body></html>"
    for number in range(failing):
        (tmp_path / "in" / f"error{number}.warc.gz").write_bytes(page)
    run = ("curate", "--archives", tmp_path / "in", *balance, "--output", tmp_path / "out")
    names, them, what = (
        ("error0.warc.gz", "it", "it") if failing == 1 else ("error0.warc.gz and 1 more", "them", "the first")
    )
    assert refused(capfd, *run) == (
        f"error: --archives: {names} could not be read: {what} is an HTML or XML page, not an archive "
        f"('403 Forbidden'): check the address; --max-failed-archives {failing} goes on without {them}"
    )
    assert len(state_of(tmp_path / "out").waves) == 1


def test_no_pair_is_left_to_choose_t_from(tmp_path, capfd, balance):
    write_pool(tmp_path / "in", pairs=[{**PAIR, "text": "ein Hund im Schnee mit a dog und noch viel mehr Text"}])
    options = ("--pool", tmp_path / "in", *balance[:2], "--tail-share", 0.06, "--languages", "fr")
    assert refused(capfd, "curate", *options, "--output", tmp_path / "out") == (
        "error: --tail-share has nothing to choose t from: no pair is left after the language filter (1 matched, 1 "
        "removed by --languages fr)"
    )


def test_a_step_that_is_done_again_takes_the_report_away(finished, tmp_path, capfd):
    shutil.copytree(finished, tmp_path / "run")
    report = tmp_path / "run" / state_of(tmp_path / "run").finished.report
    assert (report / "DATA_CARD.md").exists()
    assert call("sample_pairs", "--output", tmp_path / "run", "--threshold-t", 5, "--overwrite") == 0
    assert capfd.readouterr().out == f"No report yet: metaclip-spark report --output {tmp_path / 'run'}\n"
    assert not list((tmp_path / "run" / "report").glob("*"))
    assert run_json(tmp_path / "run") is None


def test_counts_of_another_list(tmp_path, capfd):
    (tmp_path / "counts.json").write_text('{"a": 5, "not in the list": 3}')
    options = ("--entry-counts", tmp_path / "counts.json", "--output", tmp_path / "out")
    message = refused(capfd, "curate", "--archives", ONE, *BALANCE, *options)
    start = f"error: --entry-counts {tmp_path}/counts.json holds counts of another metadata list: 1 entry is not in"
    assert message.startswith(start)


@pytest.mark.parametrize("threshold", ["0", "-5", "2.5", "nan", "many", ""])
def test_t_out_of_range(tmp_path, capfd, threshold):
    options = ("--archives", ONE, "--metadata", METADATA, f"--threshold-t={threshold}", "--output", tmp_path / "out")
    assert "threshold" in refused(capfd, "curate", *options)


def test_output_made_with_other_settings(finished, capfd):
    run = ("curate", "--archives", ONE, *BALANCE, "--output", finished)
    assert "holds a run: --resume goes on" in refused(capfd, *run)
    assert "max_page_bytes was 33554432 and is now 1000" in refused(capfd, *run, "--resume", "--max-page-bytes", 1000)
    assert run_json(finished)["status"] == "done"


def test_output_with_a_strangers_files(tmp_path, capfd):
    (tmp_path / "thesis.tex").write_text("mine")
    run = ("curate", "--archives", ONE, *BALANCE, "--output", tmp_path, "--overwrite")
    assert "thesis.tex, which no run wrote" in refused(capfd, *run)


def test_a_step_before_the_one_it_reads(tmp_path, capfd):
    folder = ("--output", tmp_path / "out")
    steps = {
        "match_pool": ("--metadata", METADATA),
        "count_entries": ("--metadata", METADATA),
        "sample_pairs": ("--threshold-t", 5),
        "report_curation": (),
    }
    for job, options in steps.items():
        assert "holds no run" in refused(capfd, job, *options, *folder)
    assert not (tmp_path / "out").exists()
    assert call("extract_pool", "--archives", ONE, *folder) == 0
    for job, options in list(steps.items())[1:]:
        assert "no finished step" in refused(capfd, job, *options, *folder)


def test_other_metadata_than_was_matched(finished, tmp_path, capfd):
    (tmp_path / "m.json").write_text('["a", "dog"]')
    message = refused(capfd, "count_entries", "--metadata", tmp_path / "m.json", "--output", finished, "--resume")
    stored = manifest_of(finished, "count")["config"]["metadata_digest"]
    assert f"{finished} was matched with (digest " in message
    assert f"not {stored[:12]}...)" in message
    assert message.count("give the same list") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_output(tmp_path, capfd):
    tmp_path.chmod(0o500)
    assert "cannot" in refused(capfd, "curate", "--archives", ONE, *BALANCE, "--output", tmp_path / "out")


def test_output_below_a_file(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    message = refused(capfd, "curate", "--archives", ONE, *BALANCE, "--output", tmp_path / "file" / "out")
    assert "file" in message


def test_output_where_nothing_can_be_made(capfd):
    message = refused(capfd, "curate", "--archives", ONE, *BALANCE, "--output", "/proc/run")
    assert message == "error: --output /proc/run cannot be written to: No such file or directory"


HUGE = 2**63 - 1


def test_counts_up_to_the_largest_number_are_planned_compared_and_balanced_with(finished, tmp_path, capfd):
    texts = [row["entry_text"] for row in rows(finished, "entry_counts")]
    huge, more = tmp_path / "huge.json", tmp_path / "more.json"
    huge.write_text(json.dumps(dict.fromkeys(texts, HUGE)))
    more.write_text(json.dumps({text: int(text == texts[-1]) for text in texts}))
    options = ("--at-counts", huge, "--tail-share", 0.9, "--thresholds", HUGE)
    assert call("plan_threshold", "--run", finished, *options) == 0
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert next(line for line in lines if line[:1] == [f"{HUGE:,}"])[3:][:2] == ["0.00%", "0"]
    # One above the largest count: all of it is tail.
    assert next(line for line in lines if "chosen" in line)[:1] == [f"{HUGE + 1:,}"]
    assert next(line for line in lines if "chosen" in line)[3] == "100.00%"
    check_other(str(huge))
    message = refused(capfd, "sample_pairs", "--output", finished, "--resume", "--threshold-t", 5, "--entry-counts",
                      huge, more)  # fmt: skip
    assert f"add up to {HUGE + 1} for the entry {texts[-1]!r}, but a count is at most 2^63 - 1" in message
    assert str(more) in message


def test_counts_that_add_up_beyond_the_largest_number_are_refused_before_work(tmp_path, capfd, balance):
    for name, count in {"huge": HUGE, "one": 1}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(dict.fromkeys(json.loads(FEW_ENTRIES), count)))
    counts = ("--entry-counts", tmp_path / "huge.json", tmp_path / "one.json")
    message = refused(capfd, "curate", "--archives", ONE, *balance, *counts, "--output", tmp_path / "out")
    assert f"add up to {HUGE + 1} for the entry 'a', but a count is at most 2^63 - 1" in message
    assert not (tmp_path / "out").exists()


def test_a_nul_in_a_line_of_a_path_list_is_named(tmp_path, capfd, balance):
    (tmp_path / "a.paths").write_text(f"{ONE}\nlost\0.warc.gz\n")
    options = ("--archives", tmp_path / "a.paths", *balance, "--output", tmp_path / "out")
    assert "a.paths, line 2, holds a NUL character" in refused(capfd, "curate", *options)
    assert not (tmp_path / "out").exists()


def test_a_wave_of_the_log_without_content_is_named(finished, tmp_path, capfd):
    shutil.copytree(finished, tmp_path / "run")
    entry = next(path for path in (tmp_path / "run" / "commits").iterdir() if b'"wave"' in path.read_bytes())
    entry.write_text("{}")
    options = ("--archives", ONE, *BALANCE, "--output", tmp_path / "run")
    message = refused(capfd, "curate", *options, "--resume")
    assert f"commits/{entry.name} is not an entry that this version of metaclip-spark writes" in message


def test_a_broken_configuration_file(tmp_path, capfd):
    (tmp_path / "run.yaml").write_text("archives: [")
    assert "error: " in refused(capfd, "curate", "--config", tmp_path / "run.yaml")
    (tmp_path / "run.yaml").write_text("treshold_t: 5\n")
    assert refused(capfd, "curate", "--config", tmp_path / "run.yaml") == (
        f"error: --config {tmp_path}/run.yaml, line 1: no option is called treshold_t; did you mean threshold_t?"
    )
    options = ("--archives", ONE, *BALANCE[:2], "--output", tmp_path / "out")
    assert (
        refused(capfd, "curate", *options)
        == "error: give exactly one of --threshold-t, --tail-share and --target-pairs"
    )
    (tmp_path / "run.yaml").write_text(f"archives: {ONE}\ntail_share: 6%\n")
    assert refused(capfd, "curate", *options, "--config", tmp_path / "run.yaml") == (
        f"error: --config {tmp_path}/run.yaml, line 2: tail_share is '6%': it must be a number between 0 and 1 "
        "(see --help)"
    )
