"""The page over many runs, on runs that earlier versions left and logs that no Spark wrote."""

import json
import re
import shutil
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from metaclip_spark.commits.entries import End, Import, encode, entry_name
from metaclip_spark.reports import index
from metaclip_spark.reports.index import find_runs, read_runs
from metaclip_spark.reports.pages.index import render_index
from metaclip_spark.runs import open as opening
from metaclip_spark.runs.layout_1 import delete_layout_1, read_layout_1
from metaclip_spark.stores.storage import Storage
from tests.support.browser import CHROMIUM, open_tab
from tests.support.jobs import CHECKOUT, call
from tests.support.runs import OWNER, begin, opened, write_newer

STORED = CHECKOUT / "tests/data/stored_run"
HOSTILE = "<img src=x onerror=alert(1)>\u202e&amp; javascript:alert(1) \"'#% " + "x" * 120
"""A name that a folder can have."""


def write_run(folder, day, *, version="0.3.0", ends=True, changed=None, checks=()):
    """Writes a run whose log holds what the stored one has, `changed` in its sample's settings; a finished one."""
    shutil.copytree(STORED / "finished", folder)
    storage = Storage(str(folder))
    told = read_layout_1(storage, OWNER)
    summary = json.loads((folder / "run.json").read_text())
    delete_layout_1(storage)
    at = f"2026-11-{day:02d}T10:00:00Z"
    for entry in told:
        if changed and hasattr(entry, "manifest") and "not_drawn" in entry.manifest["numbers"]:
            entry.manifest["settings"].update(changed)
    entries = [opened(at=at), Import(owner=OWNER, at=at, entries=told if ends else told[:-2])]
    for number, entry in enumerate([*entries, *([End(owner=OWNER, at=at)] if ends else [])], start=1):
        storage.create_bytes(entry_name(number), encode(entry))
    if ends:
        summary |= {"commit": 2, "versions": {"metaclip-spark": version}, "seconds": {"extract": 60, "report": 5.5}}
        summary["checks"] = [{"check": check, "passed": passed, "value": 1} for check, passed in checks]
        storage.put_json("run.json", summary)
        storage.put_text("report/report.html", "<title>a report</title>")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "runs"
    write_run(folder / "b" / "newest", 20, changed={"languages": ["en"], "seed": 3})
    write_run(folder / "same day", 19, checks=[("curated>=1", True)])
    write_run(folder / "also that day", 19, version="0.2.0", checks=[("curated>=1", True), ("curated>=<b>", False)])
    write_run(folder / HOSTILE, 18, version="<b>0</b>", changed={"entry_counts": ["<script>x</script>"]})
    write_run(folder / "at work", 17, ends=False)
    for name, broken in (("broken", "{"), ("lost", None), ("older", json.dumps({"commit": 1}))):
        run = write_run(folder / name, 10)
        (run / "run.json").unlink()
        if broken:
            (run / "run.json").write_text(broken)
    (folder / "lost" / "report" / "report.html").unlink()
    write_newer(write_run(folder / "newer", 11))
    shutil.copytree(STORED / "stopped", folder / "stopped")
    shutil.copytree(STORED / "finished", folder / "of version 0.1.0")
    begun = Storage(str(folder / "begun"))
    for number, entry in enumerate((opened(at="2026-11-16T10:00:00Z"), begin(), End(owner=OWNER)), start=1):
        begun.create_bytes(entry_name(number), encode(entry))
    (folder / "only a summary").mkdir()
    (folder / "only a summary" / "run.json").write_text("{}")
    (folder / "pictures" / "0").mkdir(parents=True)
    (folder / "pictures" / "0" / "a.jpg").write_bytes(b"")
    (folder / "link").symlink_to(folder / "b")
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return render_index(read_runs(Storage(str(folder))), str(folder))


def test_the_newest_run_comes_first_and_each_one_says_how_it_stands(folder):
    rows = read_runs(Storage(str(folder)))
    assert [(row.name, row.status, row.version) for row in rows] == [
        ("b/newest", "done", "0.3.0"),
        ("also that day", "failed", "0.2.0"),
        ("same day", "done", "0.3.0"),
        (HOSTILE, "done", "<b>0</b>"),
        ("at work", "not finished", ""),
        ("begun", "stopped", ""),
        ("broken", "done", ""),
        ("lost", "done", ""),
        ("older", "done", ""),
        ("newer", "unreadable", ""),
        ("of version 0.1.0", "done", "0.1.0"),
        ("only a summary", "unreadable", ""),
        ("stopped", "stopped", ""),
    ]
    notes = {row.name: " ".join(row.notes) for row in rows}
    assert notes["at work"].startswith("done so far: extract, deduplicate, match, count; its driver on elsewhere")
    assert notes["begun"] == "no step is done; --resume goes on"
    assert notes["broken"] == "run.json cannot be read: metaclip-spark report writes it again"
    assert notes["lost"] == (
        "run.json is gone: metaclip-spark report writes it again "
        "report.html is gone: metaclip-spark report writes it again"
    )
    assert "tells of an earlier report" in notes["older"]
    assert "written by a newer version" in notes["newer"]
    assert "has no log of what counts" in notes["only a summary"]
    assert notes["also that day"] == "1 of 2 checks passed; failed: curated>=<b>"
    assert notes["same day"] == "1 of 1 check passed"
    assert not notes["b/newest"]


def test_figures_are_those_of_the_run(folder):
    rows = {row.name: row for row in read_runs(Storage(str(folder)))}
    steps = json.loads((STORED / "finished" / "run.json").read_text())["steps"]
    newest = rows["b/newest"].figures
    assert newest == {
        "run": "b/newest",
        "status": "done",
        "at": "2026-11-20T10:00:00Z",
        "t": steps["sample"]["numbers"]["threshold_t"],
        "seed": 0,
        "pairs": steps["extract"]["numbers"]["pairs"],
        "pool": steps["deduplicate"]["numbers"]["pairs"],
        "matched": steps["match"]["numbers"]["pairs"],
        "eligible": None,
        "counted": None,
        "curated": steps["sample"]["numbers"]["pairs"],
        "seconds": 65.5,
        "version": "0.3.0",
    }
    assert rows["at work"].figures["matched"] == newest["matched"]
    assert rows["at work"].figures["curated"] is None
    assert rows["stopped"].figures["pairs"] > 0
    assert rows["of version 0.1.0"].seconds == pytest.approx(sum(step["seconds"] for step in steps.values()), abs=0.01)
    # Of the options of the draw; those of the stopped run's extraction differ, too.
    shown = {row.name: {each.name: each.value for each in row.settings} for row in rows.values()}
    assert shown["b/newest"]["--languages"] == "en"
    assert "--languages" not in shown["same day"]
    assert not any("--url-column" in settings for settings in shown.values())
    assert shown[HOSTILE]["--entry-counts"] == "<script>x</script>"
    assert not any({"--seed", "--threshold-t"} & set(settings) for settings in shown.values())


def test_the_page_links_to_the_reports_and_shows_names_as_text(folder, page):
    soup = BeautifulSoup(page, "html5lib")
    links = [link["href"] for link in soup.select("td a")]
    assert len(links) == 6
    assert all(re.fullmatch(r"\./[\w%./~-]+/report/report\.html", link) for link in links)
    assert all((folder / unquote(link)).is_file() for link in links)
    assert not soup.find_all(("script", "img", "b"))
    assert [badge.text for badge in soup.select(".badge")].count("done") == 7
    shown = soup.get_text()
    assert "<img src=x onerror=alert(1)>U+202E&amp; javascript:alert(1)" in shown
    assert "<script>x</script>" in shown
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert render_index(read_runs(Storage(str(folder))), str(folder)) == page


def test_the_job_writes_the_page_without_spark(folder, page, monkeypatch, capsys):
    monkeypatch.setattr(opening, "get_session", None)
    for _ in range(2):
        assert call("report_curation", "--index", folder) == 0
        assert (folder / "index.html").read_text() == page
        assert capsys.readouterr().out == (
            f"13 runs: 7 done, 1 failed, 1 not finished, 2 stopped, 2 unreadable\nIndex: {folder}/index.html\n"
        )


def test_what_holds_no_runs_is_refused_in_one_line(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<title>mine</title>")
    shutil.copytree(folder / "begun", tmp_path / "site" / "run")
    monkeypatch.setattr(index, "MOST_FOLDERS", 12)
    for options, told in (
        (("--index", tmp_path / "none"), "holds no run: give a folder with runs"),
        (("--index", tmp_path / "file"), "is a file"),
        (("--index", f"{tmp_path}/[a]"), "--index {0}/[a] holds [, which Spark takes for a pattern"),
        (("--index", folder / "begun"), "is a run: give the folder that holds it"),
        (("--index", folder), "holds more than 12 folders: give one further down"),
        (("--index", tmp_path / "site"), "index.html is not an index of runs"),
        (("--index", folder, "--output", folder / "begun"), "give exactly one of --output"),
        (("--index", folder, "--require", "curated>=1"), "leave out --against, --require, --resume"),
        (("--index", folder, "--resume"), "leave out --against, --require, --resume"),
        ((), "give exactly one of --output"),
    ):
        assert call("report_curation", *options) == 2
        said = capsys.readouterr().err
        assert told.format(tmp_path) in said
        assert said.startswith("error: give" if not options or "--output" in options else "error: --index")
        assert said.count("\n") == 1
    assert (tmp_path / "site" / "index.html").read_text() == "<title>mine</title>"


def test_a_folder_that_may_not_be_read_is_a_row(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "begun", tmp_path / "begun")
    (tmp_path / "secret").mkdir()
    names = Storage.names

    def refuse(storage, name):
        if f"{storage.root}/{name}".rstrip("/").endswith("secret"):
            raise PermissionError(13, "Permission denied", "secret")
        return names(storage, name)

    monkeypatch.setattr(Storage, "names", refuse)
    assert list(find_runs(Storage(str(tmp_path)))) == ["begun", "secret"]
    (row,) = [row for row in read_runs(Storage(str(tmp_path))) if row.name == "secret"]
    assert row.status == "unreadable"
    assert "Permission denied" in row.notes[0]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_nothing_is_cut_off_on_a_screen_a_phone_or_paper(tmp_path, page):
    path = tmp_path / "index.html"
    path.write_text(page, encoding="utf-8")
    with open_tab(tmp_path) as tab:
        tab.open(path)
        assert tab.cut_off() == []
        assert tab.value("document.title") == "Curation runs: runs"
