"""What the steps refuse before they change anything."""

from types import SimpleNamespace

import pytest

from metaclip_spark.commits.entries import Drop
from metaclip_spark.commits.state import State
from metaclip_spark.errors import InputError
from metaclip_spark.pipeline.extraction import _drop_lost
from metaclip_spark.runs.ledger import ledger_of
from tests.support.runs import OWNER, archive_summary, begin, opened, wave


@pytest.fixture
def run(storage):
    """A run whose two waves name files that are gone."""
    state = State()
    entries = [opened(), begin(), wave("00000-aa", archive_summary("a")), wave("00001-bb", archive_summary("b"))]
    for number, entry in enumerate(entries, 1):
        state.take(number, entry)
    committed = []
    return SimpleNamespace(
        storage=storage, state=state, owned=SimpleNamespace(nonce=OWNER, commit=committed.append), committed=committed
    )


def test_waves_whose_files_are_gone_are_dropped_where_their_archives_are_named(run, monkeypatch):
    monkeypatch.setattr("metaclip_spark.runs.ledger.lost_of", lambda *_: ["gone"])
    _drop_lost(run, ledger_of(run.state), {"a", "b", "c"})
    (drop,) = run.committed
    assert isinstance(drop, Drop)
    assert [attempt.archive for attempt in drop.attempts] == ["a", "b"]


def test_nothing_is_dropped_where_an_archive_is_not_named(run, monkeypatch):
    monkeypatch.setattr("metaclip_spark.runs.ledger.lost_of", lambda *_: ["gone"])
    with pytest.raises(InputError, match=r"with pairs of 1 archive not named by this command, such as a:"):
        _drop_lost(run, ledger_of(run.state), {"b", "c"})
    assert run.committed == []


def test_waves_that_are_whole_stay(run, monkeypatch):
    monkeypatch.setattr("metaclip_spark.runs.ledger.lost_of", lambda *_: [])
    _drop_lost(run, ledger_of(run.state), {"c"})
    assert run.committed == []
