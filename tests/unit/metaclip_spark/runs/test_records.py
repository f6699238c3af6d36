"""What a run stores as JSON: read back as it was, and refused by name where it is not what this version writes."""

import json
import shutil
from functools import partial

import msgspec
import pytest

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import InputError
from metaclip_spark.reports.compare import check_other
from metaclip_spark.reports.records import Report
from metaclip_spark.runs.layout_1 import is_finished_1, read_layout_1, take_lock_1
from metaclip_spark.runs.ledger import ledger_of
from metaclip_spark.runs.open import read_log
from metaclip_spark.runs.records import DeduplicateNumbers, RunSummary, read_report
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, DEDUPLICATE, STEPS
from metaclip_spark.stores.storage import Storage
from tests.support.jobs import known_before
from tests.support.paths import DATA
from tests.support.runs import manifest

STORED = DATA / "stored_run"
READERS = {
    "ledger": read_layout_1,
    "manifests": read_layout_1,
    "report": partial(read_report, name="report/report.json", kind=Report),
    "run.json": is_finished_1,
    "lock.json": take_lock_1,
}


def read(storage, name):
    """Reads an object as the command does that needs it."""
    return READERS[name.partition("/")[0]](storage)


def stored_run(path) -> Run:
    """A run as readers see it, but for its tables."""
    storage = Storage(str(path))
    return Run(None, storage, OutputConfig(output=str(path)), read_log(storage))


def as_text(content):
    """JSON as a run holds it."""
    return json.dumps(content, indent=1, ensure_ascii=False)


def test_a_broken_object_is_named(storage):
    storage.put_bytes("manifests/count.json", b'{"a": ')
    with pytest.raises(InputError, match=r"count\.json is not JSON"):
        read(storage, "manifests/count.json")


NOT_OBJECTS = ["[]", "null", "5", '"text"', '{"step": ', "", "\udcff", "[" * 100_000]


NOT_OBJECT_IDS = ["list", "null", "number", "text", "cut", "empty", "no_utf8", "deep"]


@pytest.mark.parametrize("content", NOT_OBJECTS, ids=NOT_OBJECT_IDS)
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ledger/00000-aa.json", "restore it"),
        ("manifests/count.json", "restore it"),
        ("manifests/buckets.json", "restore it"),
        ("run.json", "run metaclip-spark report"),
        ("report/report.json", "run metaclip-spark report"),
        ("lock.json", "delete it"),
    ],
)
def test_what_is_no_json_object_is_refused_by_name(storage, name, advice, content):
    storage.put_bytes(name, content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"{name} is not (JSON|a JSON object): {advice}") as refused:
        read(storage, name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("manifests/count.json", "config, input, numbers"),
        ("manifests/buckets.json", "buckets"),
        ("report/report.json", "fu"),
    ],
)
def test_an_object_that_lacks_its_content_is_refused_by_name(storage, name, lacking):
    storage.put_json(name, {"step": "count", "seconds": 1, "numbers": [], "buckets": "many", "funnel": {}})
    with pytest.raises(InputError, match=f"{name} lacks {lacking}"):
        read(storage, name)


def test_a_run_whose_report_cannot_be_read_is_refused_before_spark_starts(storage):
    shutil.copytree(STORED / "finished", storage.root)
    check_other(str(storage.root))
    storage.put_json("report/report.json", {})
    with pytest.raises(InputError, match=r"report\.json lacks funnel.*: run metaclip-spark report on that folder"):
        check_other(str(storage.root))


def test_an_empty_manifest_is_that_of_a_step_that_is_not_done(storage):
    storage.put_json("manifests/count.json", {})
    with pytest.raises(InputError, match="no finished step 'count': run that step first"):
        stored_run(storage.root).manifest(COUNT)


def test_a_manifest_of_an_earlier_version_may_name_no_files(storage):
    storage.put_json("manifests/deduplicate-000.json", msgspec.to_builtins(manifest("deduplicate")))
    assert stored_run(storage.root).manifest(DEDUPLICATE) == manifest("deduplicate")
    assert read_log(storage).state.tables["deduplicate", 0].tables == {}


def test_a_manifest_digest_ignores_time_and_settings():
    whole = manifest("match")
    assert whole.digest == manifest("match", seconds=9.0, settings={"engine": "token"}).digest
    assert whole.digest != manifest("match", numbers=DeduplicateNumbers(pairs_in=2, duplicates=1, pairs=1)).digest


@pytest.mark.parametrize("run", ["finished", "stopped"])
def test_what_an_earlier_version_wrote_is_told_again_as_it_was(run):
    """Records of before, read and put into JSON: not a byte differs, so that no digest does."""
    stored = Storage(str(STORED / run))
    state = read_log(stored).state
    entries = {**state.tables, ("sample", None): state.sample}
    names = [name for name in stored.names("manifests") if name != "buckets.json"]
    for name in names:
        step, _, bucket = name.removesuffix(".json").partition("-")
        before = stored.read_json(f"manifests/{name}")
        files = before.pop("files")
        entry = entries[step, int(bucket) if bucket else None]
        assert as_text(entry.manifest) == as_text(before)
        found = {
            written.folder: [f"{written.folder}/{file.name}" for file in written.files]
            for written in entry.tables.values()
        }
        assert found == files
    assert len(names) == len([entry for entry in entries.values() if entry])
    for name in stored.names("ledger"):
        before = stored.read_json(f"ledger/{name}")
        wave = state.waves[f"extracted/wave={name.removesuffix('.json')}"]
        again = {
            "wave": wave.wave,
            "config": state.begins["extract"][1].config,
            "files": list(wave.written.sizes),
            "archives": [msgspec.structs.asdict(summary) for summary in wave.archives],
        }
        assert as_text(again) == as_text(before)


def test_a_summary_and_a_report_of_before_are_written_again():
    stored = Storage(str(STORED / "finished"))
    summary = msgspec.convert(stored.read_json("run.json"), RunSummary)
    written = known_before(msgspec.to_builtins(summary), stored.read_json("run.json"))
    assert as_text(written) == stored.read_bytes("run.json").decode()
    report = msgspec.to_builtins(read_report(stored, "report/report.json", Report))
    assert report["layout"] == 1
    again = known_before(report, stored.read_json("report/report.json"))
    assert as_text(again) == stored.read_bytes("report/report.json").decode()


def test_digests_of_before_stay():
    run = stored_run(STORED / "finished")
    before = {step: done["digest"] for step, done in run.storage.read_json("run.json")["steps"].items()}
    assert {name: run.manifest(step).digest for name, step in STEPS.items() if not step.optional} == before
    assert ledger_of(run.state).digest() == run.storage.read_json("run.json")["steps"]["extract"]["input"]


@pytest.mark.parametrize(
    "name",
    [
        "manifests/count.json",
        "manifests/buckets.json",
        "ledger/00000-4a80ec19.json",
        "report/report.json",
        "run.json",
    ],
)
def test_what_a_newer_version_wrote_is_refused_by_name_and_layout(storage, name):
    shutil.copytree(STORED / "finished", storage.root)
    found = storage.read_json(name)
    read(storage, name)
    storage.put_json(name, {**found, "layout": 2})
    with pytest.raises(InputError) as refused:
        read(storage, name)
    whole = storage.root if name == "run.json" else storage.root / name
    assert str(refused.value).startswith(f"{whole} was written by ")
    assert "in layout 2; this version reads " in str(refused.value)
    assert "layout 1" in str(refused.value)
    assert ": use that version" in str(refused.value)
    storage.put_json(name, {**found, "colour": "red"})
    what = "is not a ledger entry" if "ledger" in name else "is not what this version"
    with pytest.raises(InputError, match=rf"{name} {what} .*unknown field `colour`.*use the version"):
        read(storage, name)


def test_an_unknown_key_within_a_manifest_is_refused_by_name(storage):
    shutil.copytree(STORED / "finished", storage.root)
    found = storage.read_json("manifests/count.json")
    found["config"]["gate"]["colour"] = "red"
    storage.put_json("manifests/count.json", found)
    with pytest.raises(
        InputError, match=r"manifests/count\.json .*unknown field `colour` - at `\$\.config\.gate`"
    ) as refused:
        read(storage, "manifests/count.json")
    assert "\n" not in str(refused.value)
