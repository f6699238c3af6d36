"""A store that refuses to write, and folders that hold what nobody wrote: a line, and the same tables in the end."""

import errno
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.commits import owner
from tests.support.changes import before_each_change
from tests.support.jobs import call, content, files_of, rows, run_json, state_of

pytestmark = pytest.mark.usefixtures("spark")
TEXTS = ["a dog", "the dog", "a cat", "a house"]


@pytest.fixture(scope="module")
def curate(tmp_path_factory):
    """The options of a run over four pairs, but for its output."""
    folder = tmp_path_factory.mktemp("inputs")
    urls = [f"http://a.example/{number}.jpg" for number in range(len(TEXTS))]
    pq.write_table(pa.table({"url": urls, "text": TEXTS}), folder / "pool.parquet")
    (folder / "entries.json").write_text('["dog", "house"]')
    return ("curate", "--pool", folder / "pool.parquet", "--metadata", folder / "entries.json", "--threshold-t", 5)


@pytest.fixture(scope="module")
def reference(curate, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "reference"
    assert call(*curate, "--output", output) == 0
    assert len(rows(output, "curated")) == 3
    return output


def entry_of(kind, step=None):
    """Tells whether a change creates such an entry of the log."""
    parts = [f'"kind":"{kind}"'.encode(), *([f'"step":"{step}"'.encode()] if step else [])]
    return lambda method, _name, content: method == "create" and all(part in content for part in parts)


def named(part):
    return lambda method, name, _content: method != "delete" and part in name


# In the order in which a run makes them, so that each failure comes one further than the one before it.
CHANGES = {
    "open": entry_of("open"),
    "lock": named("lock.json"),
    "marker": named("output.json"),
    "begin extract": entry_of("begin", "extract"),
    "wave": entry_of("wave"),
    "archives": named("archives/"),
    "table extract": entry_of("table", "extract"),
    "begin deduplicate": entry_of("begin", "deduplicate"),
    "table deduplicate": entry_of("table", "deduplicate"),
    "begin match": entry_of("begin", "match"),
    "table match": entry_of("table", "match"),
    "entry_counts": named("entry_counts/"),
    "table count": entry_of("table", "count"),
    "expected_kept": named("expected_kept/"),
    "sample": entry_of("sample"),
    "entries of the report": named("entries/part"),
    "report.json": named("report.json"),
    "report.html": named("report.html"),
    "data card": named("DATA_CARD.md"),
    "finish": entry_of("finish"),
    "run.json": named("run.json"),
}
FAULTS = {
    "full disk": OSError(errno.ENOSPC, "No space left on device"),
    "denied": PermissionError(errno.EACCES, "Permission denied"),
}


def assert_ended_in_one_line(printed, fault):
    told = [line for line in printed.splitlines() if not line.startswith("20")]
    assert len(told) == 1, told
    assert told[0].startswith("error: ")
    assert fault.strerror.removesuffix(" on device").lower() in told[0].lower()


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_that_cannot_write_ends_in_a_line_and_goes_on_later(
    curate, reference, tmp_path, monkeypatch, capfd, name
):
    output, fault = tmp_path / "run", FAULTS[name]
    reached = []
    for what, refused in CHANGES.items():

        def refuse(*change, what=what, refused=refused):
            if refused(*change):
                reached.append(what)
                raise fault

        with monkeypatch.context() as patch:
            before_each_change(patch, refuse)
            assert call(*curate, "--output", output, "--resume") in {1, 2}, what
        assert reached[-1:] == [what]
        assert_ended_in_one_line(capfd.readouterr().err, fault)
        assert not (output / "run.json").exists()
    assert call(*curate, "--output", output, "--resume") == 0
    assert content(output) == content(reference)
    assert run_json(output)["commit"] == state_of(output).finish_number
    assert {"extract", "deduplicate", "match", "count", "sample"} == run_json(output)["steps"].keys()
    # One attempt at each step was enough, and one more where its entry was refused.
    assert len([path for path in output.iterdir() if path.name.startswith("curated-")]) <= 2


def test_beats_that_fail_end_no_run(curate, reference, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(owner, "SECONDS_BETWEEN_BEATS", 0.05)
    faults = itertools.cycle(FAULTS.values())

    def refuse(_method, name, _content):
        if name.startswith("beats/"):
            raise next(faults)

    before_each_change(monkeypatch, refuse)
    assert call(*curate, "--output", tmp_path / "run") == 0
    told = capfd.readouterr().err
    assert all(f"a sign of life failed: {fault}" in told for fault in FAULTS.values())
    assert content(tmp_path / "run") == content(reference)


def test_a_run_json_that_cannot_be_deleted_ends_the_command_before_anything_changes(
    curate, tmp_path, monkeypatch, capfd
):
    output = tmp_path / "run"
    assert call(*curate, "--output", output) == 0
    before, told = state_of(output), run_json(output)
    capfd.readouterr()

    def refuse(method, name, _content):
        if (method, name) == ("delete", "run.json"):
            raise FAULTS["denied"]

    again = ("sample_pairs", "--threshold-t", 5, "--seed", 7, "--output", output, "--overwrite")
    with monkeypatch.context() as patch:
        before_each_change(patch, refuse)
        assert call(*again) in {1, 2}
    assert_ended_in_one_line(capfd.readouterr().err, FAULTS["denied"])
    assert state_of(output).finished == before.finished
    assert run_json(output) == told
    assert call(*again) == 0
    assert state_of(output).finished is None


def test_files_that_nothing_names_are_never_read_and_go_once_they_cannot_count(curate, reference, tmp_path):
    """What another driver has left, or may still be writing; what a stranger has put there."""
    output = tmp_path / "run"
    assert call(*curate, "--output", output) == 0
    stray = pa.table({"pair_id": ["f" * 32]})
    places = ("pool/bucket=000", "matched/bucket=000", "entry_counts", "archives", "extracted/wave=", "curated-")
    earlier, later, strange = [], [], []
    for place in places:
        sign = "" if place[-1] in "=-" else "/"
        earlier.append(f"{place}{sign}00000001-0123abcd")
        later.append(f"{place}{sign}00000099-0123abcd")
        if sign:
            strange.append(f"{place}{sign}mine")
    for folder in (*earlier, *later, *strange):
        (output / folder).mkdir(parents=True)
        pq.write_table(stray, output / folder / "part-00000.zstd.parquet")
    (output / "commits" / "notes.txt").write_text("mine")
    (output / "notes.txt").write_text("mine")
    assert content(output) == content(reference)
    before = files_of(output, "curated")
    assert call(*curate, "--output", output, "--resume") == 0
    assert files_of(output, "curated") == before
    assert call("report_curation", "--output", output) == 0
    assert all((output / folder).exists() for folder in (*earlier, *later, *strange))
    assert call("match_pool", "--metadata", curate[4], "--output", output, "--overwrite") == 0
    assert call(*curate, "--output", output, "--resume") == 0
    assert content(output) == content(reference)
    gone = [folder for folder in earlier if not (output / folder).exists()]
    # Of the steps that were done again; a step that is kept deletes nothing.
    assert sorted(folder.partition("/")[0] for folder in gone) == ["entry_counts", "matched"]
    assert all((output / folder).exists() for folder in (*later, *strange))
    assert call(*curate, "--output", output, "--overwrite") == 0
    assert content(output) == content(reference)
    assert not any((output / folder).exists() for folder in earlier)
    assert all((output / folder).exists() for folder in later)
