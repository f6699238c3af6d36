"""What a run stores as JSON: read back as it was, and refused by name where it is not what this version writes."""

import json
import shutil

import msgspec
import pytest

from metaclip_spark.errors import InputError
from metaclip_spark.reports.compare import check_other
from metaclip_spark.reports.records import Report
from metaclip_spark.runs.buckets import buckets_of, combined, read_step
from metaclip_spark.runs.layout import manifest_name
from metaclip_spark.runs.ledger import read_ledger
from metaclip_spark.runs.open import read_finished
from metaclip_spark.runs.records import (
    DeduplicateNumbers,
    RunSummary,
    read_ledger_entry,
    read_manifest,
    read_object,
    read_record,
)
from metaclip_spark.runs.step import COUNT, DEDUPLICATE, STEPS
from metaclip_spark.stores.storage import Storage
from tests.support.paths import DATA
from tests.support.runs import manifest

STORED = DATA / "stored_run"
READERS = {
    "manifests/count.json": lambda storage: read_step(storage, COUNT, [0]),
    "manifests/buckets.json": buckets_of,
    "report/report.json": lambda storage: read_record(storage, "report/report.json", Report),
}


def as_text(content):
    """JSON as a run holds it."""
    return json.dumps(content, indent=1, ensure_ascii=False)


def test_a_broken_object_is_named(storage):
    storage.put_json("manifests/match.json", {})
    (storage.root / "manifests/match.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"match\.json is not JSON"):
        read_object(storage, "manifests/match.json")


NOT_OBJECTS = ["[]", "null", "5", '"text"', '{"step": ', "", "\udcff", "[" * 100_000]


NOT_OBJECT_IDS = ["list", "null", "number", "text", "cut", "empty", "no_utf8", "deep"]


@pytest.mark.parametrize("content", NOT_OBJECTS, ids=NOT_OBJECT_IDS)
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ledger/00000-aa.json", "restore it"),
        ("manifests/count.json", "restore it"),
        ("manifests/buckets.json", "restore it"),
        ("run.json", "run report_curation"),
        ("report/report.json", "run report_curation"),
        ("lock.json", "delete it"),
    ],
)
def test_what_is_no_json_object_is_refused_by_name(storage, name, advice, content):
    storage.put_bytes(name, content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"{name} is (not JSON|no JSON object): {advice}") as refused:
        read_object(storage, name)
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
        READERS[name](storage)


def test_a_run_whose_report_cannot_be_read_is_refused_before_spark_starts(storage):
    storage.put_bytes("run.json", (STORED / "finished" / "run.json").read_bytes())
    check_other(str(storage.root))
    storage.put_json("report/report.json", {})
    with pytest.raises(InputError, match=r"report\.json lacks funnel.*: run report_curation on that folder again"):
        check_other(str(storage.root))


def test_an_empty_manifest_is_that_of_a_step_that_is_not_done(storage):
    storage.put_json("manifests/count.json", {})
    with pytest.raises(InputError, match="no finished step 'count': run that step first"):
        combined(storage, COUNT, read_step(storage, COUNT, [0]))


def test_a_manifest_of_an_earlier_version_may_name_no_files(storage):
    done = msgspec.to_builtins(manifest("deduplicate"))
    del done["files"], done["layout"]
    storage.put_json(manifest_name("deduplicate", 0), done)
    assert read_step(storage, DEDUPLICATE, [0]) == [manifest("deduplicate", files={})]


def test_a_manifest_digest_ignores_time_and_settings():
    whole = manifest("match")
    assert whole.digest == manifest("match", seconds=9.0, settings={"engine": "token"}, files={"matched": []}).digest
    assert whole.digest != manifest("match", numbers=DeduplicateNumbers(pairs_in=2, duplicates=1, pairs=1)).digest


@pytest.mark.parametrize("run", ["finished", "stopped"])
def test_what_an_earlier_version_wrote_is_written_again_but_for_the_layout(run):
    """Records of before, read and put into JSON: not a byte differs, so that no digest does."""
    stored = Storage(str(STORED / run))
    names = [f"manifests/{name}" for name in stored.names("manifests") if name != "buckets.json"]
    for name in names:
        step = STEPS[name.removeprefix("manifests/").partition("-")[0].removesuffix(".json")]
        again = msgspec.to_builtins(read_manifest(stored, name, step.config, step.numbers))
        assert again.pop("layout") == 1
        assert as_text(again) == stored.read_bytes(name).decode()
    for name in stored.names("ledger"):
        again = msgspec.to_builtins(read_ledger_entry(stored, f"ledger/{name}"))
        assert again.pop("layout") == 1
        assert as_text(again) == stored.read_bytes(f"ledger/{name}").decode()


def test_a_summary_and_a_report_of_before_are_written_again():
    stored = Storage(str(STORED / "finished"))
    assert (
        as_text(msgspec.to_builtins(read_record(stored, "run.json", RunSummary)))
        == stored.read_bytes("run.json").decode()
    )
    again = msgspec.to_builtins(read_record(stored, "report/report.json", Report))
    assert again.pop("layout") == 1
    assert as_text(again) == stored.read_bytes("report/report.json").decode()


def test_digests_of_before_stay():
    stored = Storage(str(STORED / "finished"))
    digests = {step: done.digest for step, done in read_record(stored, "run.json", RunSummary).steps.items()}
    found = {name: combined(stored, step, read_step(stored, step, range(2))).digest for name, step in STEPS.items()}
    assert found == digests
    assert read_ledger(stored).digest() == read_record(stored, "run.json", RunSummary).steps["extract"].input


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("manifests/count.json", lambda storage: read_step(storage, COUNT, [0])),
        ("manifests/buckets.json", buckets_of),
        ("ledger/00000-4a80ec19.json", read_ledger),
        ("report/report.json", lambda storage: read_record(storage, "report/report.json", Report)),
        ("run.json", read_finished),
    ],
)
def test_what_a_newer_version_wrote_is_refused_by_name_and_layout(storage, name, read):
    shutil.copytree(STORED / "finished", storage.root)
    found = storage.read_json(name)
    read(storage)
    storage.put_json(name, {**found, "layout": 2})
    with pytest.raises(InputError) as refused:
        read(storage)
    whole = storage.root if name == "run.json" else storage.root / name
    assert str(refused.value).startswith(f"{whole} was written by ")
    assert "in layout 2; this version reads layout 1: use that version" in str(refused.value)
    storage.put_json(name, {**found, "colour": "red"})
    with pytest.raises(InputError, match=rf"{name} is not what this version .*unknown field `colour`.*use the version"):
        read(storage)


def test_an_unknown_key_within_a_manifest_is_refused_by_name(storage):
    shutil.copytree(STORED / "finished", storage.root)
    found = storage.read_json("manifests/count.json")
    found["config"]["gate"]["colour"] = "red"
    storage.put_json("manifests/count.json", found)
    with pytest.raises(
        InputError, match=r"manifests/count\.json .*unknown field `colour` - at `\$\.config\.gate`"
    ) as refused:
        read_step(storage, COUNT, [0])
    assert "\n" not in str(refused.value)
