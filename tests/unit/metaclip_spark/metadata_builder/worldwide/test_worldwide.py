"""All lists of a plan: built once, kept, merged, and named by languages.json once all are there."""

import gzip
import json
import shutil

import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries import load_metadata
from tests.support.jobs import call

pytestmark = pytest.mark.usefixtures("spark")

WORDS = {
    "en": ["dog", "cat"],
    "simple": ["dog", "big dog"],
    "ja": ["猫", "犬"],
    "ab": ["ажәа", "dog"],
    "ace": ["dog", "mie"],
}
VIEWS = [
    "en Dog 60 0",
    "ja 猫 7 0",
    "ja 猫 3 0",
    "ja 犬 2 0",
    "zh-yue 狗 9 0",
    "en.m Dog 5 0",
    "en.d Dog 9 0",
    "en Few 1 0",
]


def write_plan(folder, **others):
    (folder / "counts").mkdir(exist_ok=True)
    for wiki, words in WORDS.items():
        (folder / "counts" / f"{wiki}.tsv").write_text("".join(f"{word}\t200\n" for word in words))
    wikis = dict.fromkeys(WORDS, "")
    plan = {"defaults": {"unigram_counts": str(folder / "counts" / "{wiki}.tsv")}, "wikis": wikis, **others}
    # JSON is YAML.
    (folder / "plan.yaml").write_text(json.dumps(plan))
    return folder / "plan.yaml"


def entries_of(folder, code):
    return [text for text in json.loads((folder / code / "metadata.json").read_text()) if not text.isdecimal()]


@pytest.fixture(scope="module")
def worldwide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worldwide")
    assert call("build_worldwide", "--plan", write_plan(folder), "--output", folder / "lists") == 0
    return folder


def test_every_list_is_there_and_can_be_loaded(worldwide):
    lists = worldwide / "lists"
    assert {code: entries_of(lists, code) for code in ("en", "ja", "other")} == {
        "en": ["cat", "dog", "big dog"],
        "ja": ["犬", "猫"],
        "other": ["dog", "ажәа", "mie"],
    }
    metadata = load_metadata(str(lists))
    assert [(each.code, each.size) for each in metadata.lists] == [("en", 103), ("ja", 102), ("other", 103)]
    assert metadata.anchor == "en"
    assert metadata.labels["ja"] == "ja"
    assert metadata.labels["de"] == metadata.labels["lrc"] == "other"
    assert len(metadata.labels) == 176
    rows = pq.read_table(lists / "en" / "metadata.parquet").to_pylist()
    assert [row["entry_id"] for row in rows] == list(range(103))


def test_what_is_done_is_kept_and_other_settings_are_told(worldwide, capsys):
    lists = worldwide / "lists"
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in lists.rglob("metadata.*")}
    assert call("build_worldwide", "--plan", write_plan(worldwide), "--output", lists) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "other is the list of ab and ace: the plan gives them none of their own",
        "en: 103 entries, as built before",
        "ja: 102 entries, as built before",
        "other: 103 entries, as built before",
    ]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in lists.rglob("metadata.*")} == before
    changed = write_plan(worldwide, wikis={"ja": {"min_unigram_count": "3"}})
    assert call("build_worldwide", "--plan", changed, "--output", lists) == 1
    assert "ja: failed: " in (said := capsys.readouterr().out)
    assert "was built with other settings: delete that folder to build it anew, or use --overwrite" in said


def test_an_edited_languages_file_is_kept_until_it_may_be_overwritten(tmp_path, capsys):
    wikis = dict.fromkeys(["en", "ab"], "")
    plan, lists = write_plan(tmp_path, wikis=wikis), tmp_path / "lists"
    assert call("build_worldwide", "--plan", plan, "--output", lists) == 0
    written = (lists / "languages.json").read_text()
    assert call("build_worldwide", "--plan", plan, "--output", lists) == 0
    assert f"wrote {lists}/languages.json" in capsys.readouterr().out
    assert not (lists / "languages.plan.json").exists()
    edited = written.replace('"lrc": "other"', '"lrc": "en"')
    (lists / "languages.json").write_text(edited)
    assert call("build_worldwide", "--plan", plan, "--output", lists) == 0
    said = capsys.readouterr().out
    assert f"kept languages.json, which is not that of the plan; wrote {lists}/languages.plan.json: put it in" in said
    assert (lists / "languages.json").read_text() == edited != written
    assert (lists / "languages.plan.json").read_text() == written
    assert call("build_worldwide", "--plan", plan, "--output", lists, "--overwrite") == 0
    assert (lists / "languages.json").read_text() == written
    assert not (lists / "languages.plan.json").exists()


def test_a_list_of_other_wikis_is_not_written_over(tmp_path, capsys):
    lists = tmp_path / "lists"

    def build(*wikis, **others):
        plan = write_plan(tmp_path, wikis=dict.fromkeys(wikis, ""), **others)
        code = call("build_worldwide", "--plan", plan, "--output", lists)
        return code, capsys.readouterr().out

    assert build("en", "ab")[0] == 0
    before = (lists / "en" / "metadata.json").read_bytes()
    code, said = build("en", "simple", "ab")
    assert code == 1
    assert f"en: failed: {lists}/en was built from en, not en and simple: delete that folder" in said
    assert (lists / "en" / "metadata.json").read_bytes() == before
    assert not (lists / "wikis").exists()
    code, said = build("en", "ab", "ace")
    assert f"other: failed: {lists}/other was built from ab, not ab and ace: delete that folder" in said
    shutil.rmtree(lists / "en")
    assert build("en", "simple", "ab")[0] == 0
    before = (lists / "en" / "metadata.json").read_bytes()
    # A part of a list that is built anew, from other counts.
    shutil.rmtree(lists / "wikis" / "simple")
    write_plan(tmp_path)
    (tmp_path / "counts" / "simple.tsv").write_text("wolf\t200\n")
    assert call("build_worldwide", "--plan", tmp_path / "plan.yaml", "--output", lists) == 1
    assert f"en: failed: {lists}/en has other entries of simple: delete that folder" in capsys.readouterr().out
    assert (lists / "en" / "metadata.json").read_bytes() == before
    code, said = build("en", "ab")
    assert f"en: failed: {lists}/en was built with other settings: delete that folder" in said


def test_a_list_that_fails_is_named_and_the_others_are_built(tmp_path, capsys):
    plan = write_plan(tmp_path)
    (tmp_path / "counts" / "ja.tsv").write_text("猫 3\n")
    (tmp_path / "counts" / "en.tsv").unlink()
    assert call("build_worldwide", "--plan", plan, "--output", tmp_path / "lists") == 1
    said = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition(":")[0] for line in said] == ["en", "ja", "other", "failed"]
    assert said[0].startswith("en: failed: 1 of 2 wikis could not be built: en: --unigram-counts")
    assert "ja.tsv, line 1" in said[1]
    assert said[2] == "other: 103 entries"
    assert said[3].startswith("failed: en and ja; languages.json is written once all lists are there")
    assert not (tmp_path / "lists" / "languages.json").exists()
    write_plan(tmp_path)
    assert call("build_worldwide", "--plan", plan, "--output", tmp_path / "lists") == 0
    assert load_metadata(str(tmp_path / "lists")).anchor == "en"


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    (folder / "pageviews-20260101-000000.gz").write_bytes(gzip.compress("\n".join(VIEWS).encode()))
    assert call("count_title_views", "--pageviews", folder, "--output", folder / "sums") == 0
    return folder / "sums"


def test_views_of_all_wikis_are_read_back_by_each(views, tmp_path, capsys):
    assert sorted(path.name for path in (views / "titles").glob("wiki=*")) == ["wiki=en", "wiki=ja", "wiki=zh_yue"]
    said = json.loads((views / "title_views.run.json").read_text())
    assert said["wikis"] == {"en": [2, 61], "ja": [2, 12], "zh_yue": [1, 9]}
    (tally,) = said["tally"].values()
    assert tally == {"lines": 8, "counted": 6, "line.skipped_domain": 2}
    for output, given in (("one", views), ("two", views / "titles"), ("three", views / "titles" / "wiki=ja")):
        options = ("--title-views", given, "--language", "ja", "--min-title-views", 3)
        assert call("build_metadata", *options, "--output", tmp_path / output) == 0
        assert entries_of(tmp_path, output) == ["猫"]
    capsys.readouterr()
    options = ("--title-views", views, "--language", "de", "--output", tmp_path / "de")
    assert call("build_metadata", *options) == 2
    assert "--title-views has no sums of de, only of 3 wikis ('en ja zh_yue')" in capsys.readouterr().err


def test_sums_are_not_overwritten_unless_asked(views, capsys):
    dumps = ("--pageviews", views.parent / "*.gz", "--output", views)
    assert call("count_title_views", *dumps) == 2
    assert "holds sums of page views: give another --output, or --overwrite" in capsys.readouterr().err
    before = titles_of(views)
    assert call("count_title_views", *dumps, "--overwrite") == 0
    assert titles_of(views) == before
    rows = pq.read_table(next((views / "titles" / "wiki=ja").glob("*.parquet"))).to_pylist()
    assert [(row["title"], row["views"]) for row in rows] == [("猫", 10), ("犬", 2)]


def titles_of(views):
    return {path.parent.name: path.read_bytes() for path in views.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("line", "message"),
    [("en.d Dog 9 0", "--pageviews: 1 dump without a view of a Wikipedia"), ("", "without a view of a Wikipedia")],
)
def test_dumps_without_a_view_are_refused(tmp_path, line, message, capsys):
    (tmp_path / "pageviews-20260101-000000.gz").write_bytes(gzip.compress(line.encode()))
    assert call("count_title_views", "--pageviews", tmp_path, "--output", tmp_path / "sums") == 2
    assert message in capsys.readouterr().err


def test_page_views_must_be_given(capsys):
    assert call("count_title_views", "--output", "o") == 2
    assert "no page views given: give --pageviews" in capsys.readouterr().err
