"""Waves of archives: which are tried again, what they add up to, and what stops a run."""

import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from unittest.mock import MagicMock

import msgspec
import pytest

from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.errors import TooManyRejectsError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.runs.ledger import Ledger, ledger_of
from metaclip_spark.runs.records import ExtractionSettings, ExtractNumbers, NamedArchives
from metaclip_spark.runs.waves import (
    WaveLayout,
    archive_rows,
    check_losses,
    extraction_numbers,
    run_waves,
    side_by_side,
    waves_of,
)
from tests.support.runs import archive_summary, ledger_after, take_folder, wave


def numbers(**changed) -> ExtractNumbers:
    """What extraction adds up to: one page, unless something else is said."""
    nothing = dict.fromkeys(ExtractNumbers.__struct_fields__[:-3], 0)
    return ExtractNumbers(**{**nothing, "rejected": {}, "pages": 1, **changed})


def test_as_many_rejects_as_the_limit_says_are_accepted_and_one_more_is_not():
    def check(bad, percent):
        rejected = {"record.undecodable": bad, "record.skipped_type": 1_000, "image.no_src": 1_000}
        config = ExtractConfig(archives=("x",), max_rejects=percent / 100)
        check_losses(Ledger({}), numbers(pages=300 - bad, rejected=rejected), config, [])

    for percent in range(100):
        check(3 * percent, percent)
        with pytest.raises(TooManyRejectsError, match=rf"of 300 records are bad \(limit {percent}%\)"):
            check(3 * percent + 1, percent)
    check(300, 100)


@pytest.fixture
def owner(storage):
    return take_folder(storage)


def run_all(owner, monkeypatch, config, named, status):
    """Extracts archives, of which a function tells the status, and gives the ledger."""

    def extract_wave(owner, number, names, *_arguments):
        summaries = [archive_summary(name, status(names, name)) for name in names]
        entry = wave(f"{number:05d}-aa", *summaries, owner=owner.nonce)
        owner.commit(entry)
        return entry

    monkeypatch.setattr("metaclip_spark.runs.waves.extract_wave", extract_wave)
    pending = [ArchivePath(name, name) for name in named]
    run_waves(owner, pending, config, MagicMock(), MagicMock(), WaveLayout(10))
    return ledger_of(owner.state)


def test_as_many_failed_archives_as_the_limit_says_stop_neither_the_waves_nor_the_run(owner, monkeypatch):
    limits = {"archives_per_wave": 1, "attempts": 1}
    config = ExtractConfig(archives=("x",), **limits, max_failed_archives=2)
    named = list("abcd")
    ledger = run_all(owner, monkeypatch, config, named, lambda _, name: "failed" if name in "ab" else "ok")
    assert (list(ledger.failed()), list(ledger.accepted())) == (["a", "b"], ["c", "d"])
    check_losses(ledger, numbers(), config, named)
    with pytest.raises(
        TooManyRejectsError,
        match=r"^--archives: a and 1 more could not be read \(--max-failed-archives is 1\); ",
    ):
        check_losses(ledger, numbers(), replace(config, max_failed_archives=1), named)


@pytest.mark.parametrize("failures", [1, 2, 99])
def test_waves_that_were_left_out_behind_a_failed_one_are_tried_again_or_told(owner, monkeypatch, failures):
    """An archive that an earlier run failed to read, and that is not named now, makes no difference."""
    owner.commit(wave("00000-aa", archive_summary("earlier", "failed"), owner=owner.nonce))
    tries = Counter()

    def status(names, _name):
        tries.update(names)
        return "failed" if tries["a"] <= failures else "ok"

    config = ExtractConfig(archives=("x",), archives_per_wave=1, attempts=3)
    named = list("abcd")
    ledger = run_all(owner, monkeypatch, config, named, status)
    if failures < config.attempts:
        assert list(ledger.accepted()) == named
        check_losses(ledger, numbers(), config, named)
        return
    assert set(tries) == {"a"}
    with pytest.raises(
        TooManyRejectsError,
        match=r"^--archives: a could not be read; --resume tries it again, --max-failed-archives 1 ",
    ):
        check_losses(ledger, numbers(), config, named)
    with pytest.raises(TooManyRejectsError, match="b and 2 more were not read at all: --resume reads them"):
        check_losses(ledger, numbers(), replace(config, max_failed_archives=1), named)


def test_archives_are_cut_into_waves_in_their_order():
    pending = [ArchivePath(name, f"/{name}") for name in "abcde"]
    assert ["".join(each.archive for each in wave) for wave in waves_of(pending, 2)] == ["ab", "cd", "e"]


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_results_come_in_the_order_of_the_calls(at_once):
    late = threading.Event()

    def call(number):
        if at_once > 1 and number == 0:
            late.wait(1.0)
        late.set()
        return number

    assert list(side_by_side((partial(call, number) for number in range(4)), at_once)) == [0, 1, 2, 3]


def test_a_call_that_fails_ends_the_waves():
    def fail():
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(side_by_side(iter([fail, fail, fail]), 2))


def test_what_extraction_adds_up_to_names_archives_that_may_hide_a_loss():
    rejected = {"record.skipped_unknown": 2, "record.skipped_status": 1}
    ledger = ledger_after(
        wave(
            "00000-aa",
            archive_summary("whole", pages=3, rejected={"image.no_text": 4}),
            archive_summary("no page", rejected=rejected),
            archive_summary("empty", size=0, pairs=0),
            archive_summary("lost", "failed"),
        )
    )
    added = extraction_numbers(ledger)
    assert (added.archives, added.archives_ok, added.archives_failed, added.archives_empty) == (4, 3, 1, 1)
    assert (added.pages, added.pairs) == (3, 2)
    assert added.rejected == {"image.no_text": 4, **dict(sorted(rejected.items()))}
    assert added.without_pages == NamedArchives(archives=1, first=["no page"])
    assert added.with_unknown_records == NamedArchives(archives=1, first=["no page"])


def test_every_archive_has_one_row_whatever_its_attempts():
    ledger = ledger_after(
        wave("00000-aa", archive_summary("b", "failed"), archive_summary("a", "failed")),
        wave("00001-aa", archive_summary("b")),
    )
    assert [(row["archive"], row["status"]) for row in archive_rows(ledger).to_pylist()] == [
        ("a", "failed"),
        ("b", "ok"),
    ]


def test_settings_of_archives_and_of_a_pool_are_told_apart():
    settings = [ExtractionSettings.of(ExtractConfig(**{name: ("x",)})) for name in ("archives", "pool")]
    assert [each.input for each in settings] == ["archives", "pool"]
    assert settings[0].max_page_bytes == ExtractConfig(archives=("x",)).max_page_bytes
    assert (settings[1].url_column, settings[1].text_column) == ("url", "text")


def test_settings_tell_of_agents_only_where_there_are_any():
    config = ExtractConfig(archives=("x",))
    told = [
        msgspec.to_builtins(ExtractionSettings.of(replace(config, preference_agent=agents)))
        for agents in ((), ("img2dataset", "CCBot"))
    ]
    assert told[0] == {"input": "archives", "max_page_bytes": config.max_page_bytes}
    assert told[1] == told[0] | {"preference_agent": ["ccbot", "img2dataset"]}
    assert msgspec.convert(told[0], ExtractionSettings) == ExtractionSettings.of(config)
