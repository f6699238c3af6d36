"""What the steps refuse before they change anything."""

from types import SimpleNamespace

import pytest

from metaclip_spark.commits.entries import Drop
from metaclip_spark.commits.state import State
from metaclip_spark.errors import InputError
from metaclip_spark.pipeline.extraction import _drop_lost
from metaclip_spark.runs.ledger import ledger_of
from tests.support.archive_files import http_response, image_link, members, warc_record, wat_document, wat_record
from tests.support.jobs import call, manifest_of, rows
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


PAGES = {
    "to all": ("noimageai", ("robots", "noindex"), 2 | 4),
    "in the header": ("somebot: noindex, CCBot: noai", ("viewport", "noai"), 1),
    "in the head": ("somebot: noai", ("ccbot", "noai, noindex"), 1 | 4),
    "to another": ("img2dataset: noai", ("googlebot", "noindex"), 0),
}
"""Alternative text -> X-Robots-Tag, name and content of a meta, and what CCBot is to hear."""


def page(text: str, header: str, meta: tuple[str, str]) -> tuple[bytes, bytes]:
    """A page in a WARC, and what a WAT has of it."""
    html = f"<meta name={meta[0]} content='{meta[1]}'><img src=/a.jpg alt='{text}'>".encode()
    document = wat_document((image_link("/a.jpg", text),))
    response = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
    response["Headers"] = {"X-Robots-Tag": header}
    response["HTML-Metadata"]["Head"]["Metas"] = [dict(zip(("name", "content"), meta, strict=True))]
    return warc_record(http_response(html, f"X-Robots-Tag: {header}")), wat_record(document)


@pytest.mark.usefixtures("spark")
def test_agents_are_heard_in_a_warc_and_its_wat(tmp_path, capfd):
    both = zip(*(page(text, header, meta) for text, (header, meta, _) in PAGES.items()), strict=True)
    for name, records in zip(("a.warc.gz", "a.warc.wat.gz"), both, strict=True):
        (tmp_path / name).write_bytes(b"".join(members(list(records))))
    output = tmp_path / "run"
    command = ("extract_pool", "--archives", tmp_path / "*.gz", "--output", output)
    assert call(*command, "--preference-agent", "CCBot") == 0
    heard = sorted(
        (row["archive"], row["alt_text"], row["page_preferences"])
        for row in rows(output, "extracted")
        if row.get("pair_id")
    )
    assert heard == sorted(
        (name, text, bits) for name in ("a.warc.gz", "a.warc.wat.gz") for text, (_, _, bits) in PAGES.items()
    )
    assert manifest_of(output, "extract")["config"]["preference_agent"] == ["ccbot"]
    capfd.readouterr()
    for other, now in (((), "None"), (("--preference-agent", "ccbot", "img2dataset"), r"['ccbot', 'img2dataset']")):
        assert call(*command, "--resume", *other) == 2
        assert (
            f"extracted with other settings: preference_agent was ['ccbot'] and is now {now}" in capfd.readouterr().err
        )
    assert call(*command, "--resume", "--preference-agent=CCBOT") == 0
