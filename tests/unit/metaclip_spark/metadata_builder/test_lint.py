"""The linter's verdicts against the reference matcher, and the comparison of lists."""

import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.commands.main import main
from metaclip_spark.metadata_builder.diff import compare_lists, load_sourced_list
from metaclip_spark.metadata_builder.lint import can_match, clean_entries, lint_entries, lint_file
from metaclip_spark.metadata_builder.text_report import lint_lines
from tests.support.jobs import call
from udfs.matching.spacing import matches_entry, spacing
from udfs.pairs.rules import clean_text


@pytest.mark.parametrize(
    ("entry", "alive"),
    [
        ("dog", True),
        ("U.S.", False),
        ("St. Louis", False),
        ("St . Louis", True),
        ("3.5", False),
        ("!", True),
        ("! !", False),
        ("!  !", True),
        ("a\tb", False),
        ("a\nb", False),
        ("AT&T", True),
        ("C++", True),
        ("Queen (band)", True),
        ("new  york", True),
        ("東京", True),
    ],
)
def test_entries_that_can_never_match(entry, alive):
    assert can_match(entry) is alive


def test_the_witness_decides_as_every_short_text_does():
    texts = ["".join(signs) for length in range(7) for signs in itertools.product("a! ", repeat=length)]
    spaced = [spacing(clean_text(text)) for text in texts]
    for length in range(1, 4):
        for signs in itertools.product("a! \t", repeat=length):
            entry = "".join(signs)
            if entry.strip():
                assert can_match(entry) is any(matches_entry(text, entry) for text in spaced), repr(entry)


def test_each_trait_is_found_once():
    entries = ["dog", "Dog", "dog", "St. Louis", "", "  ", 7, "x", "the", "12", "e\u0301", "y" * 200, "a . b", "a.b"]
    found = {finding.name: (finding.severity, finding.ids) for finding in lint_entries(entries)}
    assert found == {
        "not a string": ("error", (6,)),
        "empty or white space only": ("error", (4, 5)),
        "repeats an earlier entry": ("error", (2,)),
        "can never match": ("error", (3, 13)),
        "has the spaced form of an earlier entry": ("warning", (5, 13)),
        "not in Unicode's form NFC": ("warning", (10,)),
        "very long": ("warning", (11,)),
        "differs from an earlier entry in case only": ("info", (1,)),
        "one character": ("info", (7,)),
        "stop word": ("info", (8,)),
        "number": ("info", (9,)),
    }


def test_each_trait_reads_as_a_sentence_of_one_entry_and_of_several():
    one = ["dog", "U.S.", "dog", "cat ,", "cat  ,", "DOG", "7", 5, " ", "xo\u0308"]
    assert list(lint_lines(one, lint_entries(one), 1)) == [
        "error: 1 entry is not a string: #7 5",
        "error: 1 entry is empty or white space only: #8 ' '",
        "error: 1 entry repeats an earlier one: #2 'dog'",
        "error: 1 entry can never match: #1 'U.S.'",
        "warning: 1 entry has the spaced form of an earlier one: #4 'cat  ,'",
        "warning: 1 entry is not in Unicode's form NFC: #9 'xo\u0308'",
        "info: 1 entry differs from an earlier one in case only: #5 'DOG'",
        "info: 1 one-character entry: #6 '7'",
        "info: 1 number-only entry: #6 '7'",
        "10 entries, 4 with errors",
    ]
    several = [*one, 6, "  ", "cat ,", "3.5", "cat   ,", "yo\u0308", "Dog", "8"]
    assert list(lint_lines(several, lint_entries(several), 1)) == [
        "error: 2 entries are not strings, such as #7 5",
        "error: 2 entries are empty or white space only, such as #8 ' '",
        "error: 2 entries repeat earlier ones, such as #2 'dog'",
        "error: 2 entries can never match, such as #1 'U.S.'",
        "warning: 3 entries have the spaced form of an earlier one, such as #4 'cat  ,'",
        "warning: 2 entries are not in Unicode's form NFC, such as #9 'xo\u0308'",
        "info: 2 entries differ from an earlier one in case only, such as #5 'DOG'",
        "info: 2 one-character entries, such as #6 '7'",
        "info: 3 number-only entries, such as #6 '7'",
        "18 entries, 8 with errors",
    ]


def test_a_cleaned_list_keeps_its_order_and_maps_the_old_ids():
    entries = ["dog", "U.S.", "cat", "dog", "", "Cat"]
    cleaned, ids = clean_entries(entries, lint_entries(entries))
    assert cleaned == ["dog", "cat", "Cat"]
    assert ids == [0, None, 1, 0, None, 2]


def test_lint_writes_a_list_without_errors_and_exits_with_2_before(tmp_path, capsys):
    path, fixed = tmp_path / "list.json", tmp_path / "fixed.json"
    path.write_text(json.dumps(["dog", "dog", "U.S.", "cat"]))
    assert call("lint_metadata", "--metadata", path) == 2
    following = f"Next: metaclip-spark lint-metadata {path} --fix FIXED.json"
    assert capsys.readouterr().out.splitlines()[-1] == following
    assert main([word.replace("FIXED.json", str(fixed)) for word in following.split()[2:]]) == 0
    run = "Next: metaclip-spark curate --archives ARCHIVES --output OUTPUT --threshold-t T --metadata"
    assert capsys.readouterr().out.splitlines()[-1] == f"{run} {fixed}"
    assert json.loads(fixed.read_text()) == ["dog", "cat"]
    assert json.loads((tmp_path / "fixed.id_map.json").read_text()) == [0, 0, None, 1]
    assert call("lint_metadata", "--metadata", fixed) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{run} {fixed}"


def test_a_list_of_nothing_but_errors_is_refused(tmp_path, capsys):
    path = tmp_path / "list.txt"
    path.write_text("U.S.\n3.5\n")
    assert call("lint_metadata", "--metadata", path, "--fix", tmp_path / "fixed.json") == 2
    assert "no entry" in capsys.readouterr().err
    assert lint_file(str(path))[1][0].ids == (0, 1)


def test_two_lists_side_by_side(tmp_path, capsys):
    folders = [tmp_path / "old", tmp_path / "new"]
    for folder, texts in zip(folders, [["1", "dog", "Paris"], ["1", "dog", "cat", "Rome"]], strict=True):
        folder.mkdir()
        sources = ["number", *["unigram"] * (len(texts) - 2), "title"]
        pq.write_table(pa.table({"entry_text": texts, "source": sources}), folder / "metadata.parquet")
        (folder / "metadata.json").write_text(json.dumps(texts))
    old, new = (str(folder / "metadata.json") for folder in folders)
    found = {
        item.source: (item.old, item.new, list(item.added), list(item.removed))
        for item in compare_lists(load_sourced_list(old), load_sourced_list(new))
    }
    assert found == {
        "number": (1, 1, [], []),
        "unigram": (1, 2, ["cat"], []),
        "title": (1, 1, ["Rome"], ["Paris"]),
    }
    assert call("diff_metadata", "--old", old, "--new", new, "--output", tmp_path / "diff.json") == 0
    told = capsys.readouterr().out
    assert "+ title 'Rome'" in told
    assert told.endswith(
        f"wrote {tmp_path / 'diff.json'}\nNext: metaclip-spark match --metadata {new} --output OUTPUT --overwrite\n"
    )
    assert json.loads((tmp_path / "diff.json").read_text())[1]["added"] == ["cat"]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "metadata.json").write_text('["dog"]')
    (tmp_path / "broken" / "metadata.parquet").write_text("no Parquet")
    assert call("diff_metadata", "--old", tmp_path / "broken" / "metadata.json", "--new", new) == 2
    shown = capsys.readouterr().err
    assert "metadata.parquet, which names sources, cannot be read" in shown
    assert shown.count("\n") == 1
    (tmp_path / "plain.txt").write_text("1\ndog\n")
    assert [
        item.source for item in compare_lists(load_sourced_list(str(tmp_path / "plain.txt")), load_sourced_list(new))
    ]


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        (
            "lint_metadata",
            ("--metadata", "a.json", "--fix", "s3://bucket/b.json"),
            "--fix s3://bucket/b.json is not a local path",
        ),
        (
            "lint_metadata",
            ("--metadata", "a.json", "--examples", -1),
            "--examples is -1: it must be an integer of at least 0",
        ),
        (
            "diff_metadata",
            ("--old", "a", "--new", "b", "--output", "s3://b/c"),
            "--output s3://b/c is not a local path",
        ),
        (
            "diff_metadata",
            ("--old", "a", "--new", "b", "--examples", -1),
            "--examples is -1: it must be an integer of at least 0",
        ),
    ],
)
def test_options_that_cannot_be_used_are_refused(capsys, job, options, message):
    assert call(job, *options) == 2
    assert message in capsys.readouterr().err
