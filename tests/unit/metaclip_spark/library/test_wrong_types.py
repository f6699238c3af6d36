"""Values of a wrong type are refused in one line that names the argument; what a user would expect to work does."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import metaclip_spark
from metaclip_spark import CurationError, EntryCounts, Matcher, Metadata

METADATA = Metadata.from_entries(["dog", "cat"])
COUNTS = np.array([3, 1])
VALUES = {
    "None": None,
    "int": 5,
    "float": 1.5,
    "numpy": np.float64(-1),
    "text": "no such thing",
    "bytes": b"dog",
    "path": Path("/no/such/file"),
    "list": [5],
    "uneven": [[1], [1, 2]],
    "object": object(),
    "array": pa.array([5]),
    "column": pd.Series([5.5]),
    "table": pd.DataFrame({"a": ["dog"]}),
}


def curate(**given):
    defaults = {"archives": "no.warc", "metadata": METADATA, "output": "no-run", "threshold_t": 1}
    return metaclip_spark.curate(**defaults | given)


def rebalance(**given):
    return metaclip_spark.rebalance(**{"from_run": "no-run", "output": "no-output", "threshold_t": 1} | given)


CALLS = {
    "Metadata.load": ("the path", Metadata.load),
    "Metadata.from_entries": ("entr", Metadata.from_entries),
    "Matcher": ("metadata", Matcher),
    "Matcher, engine": ("engine", lambda value: Matcher(METADATA, engine=value)),
    "Matcher.match": ("text", lambda value: Matcher(METADATA).match(value)),
    "Matcher.ids": ("texts", lambda value: Matcher(METADATA).ids(value)),
    "EntryCounts": ("entries", lambda value: EntryCounts(value, COUNTS)),
    "EntryCounts, counts": ("count", lambda value: EntryCounts(METADATA.entries, value)),
    "EntryCounts.load": ("the path", lambda value: EntryCounts.load(value, METADATA)),
    "EntryCounts.load, metadata": ("metadata", lambda value: EntryCounts.load("no.json", value)),
    "entry_probabilities": ("counts", lambda value: metaclip_spark.entry_probabilities(value, 20)),
    "tail_share": ("counts", lambda value: metaclip_spark.tail_share(value, 20)),
    "tail_share, threshold_t": ("threshold_t", lambda value: metaclip_spark.tail_share(COUNTS, value)),
    "threshold_for_tail_share": ("tail_share", lambda value: metaclip_spark.threshold_for_tail_share(COUNTS, value)),
    "keeps_in_epoch": ("pair_ids", lambda value: metaclip_spark.keeps_in_epoch(value, [0.5], 0, 0)),
    "keeps_in_epoch, keep_probability": (
        "keep_probability",
        lambda value: metaclip_spark.keeps_in_epoch(["0" * 32], value, 0, 0),
    ),
    "keeps_in_epoch, epoch": ("epoch", lambda value: metaclip_spark.keeps_in_epoch(["0" * 32], [0.5], 0, value)),
    "pairs_from_html": ("html", lambda value: metaclip_spark.pairs_from_html(value, "http://a.org")),
    "pairs_from_html, url": ("url", lambda value: metaclip_spark.pairs_from_html(b"", value)),
    "pairs_from_html, content_type": (
        "content_type",
        lambda value: metaclip_spark.pairs_from_html(b"", "http://a.org", content_type=value),
    ),
    "read_archive": ("the path", metaclip_spark.read_archive),
    "pairs_from_record": ("record", metaclip_spark.pairs_from_record),
    "lint_metadata": ("metadata", metaclip_spark.lint_metadata),
    "curate": ("archives", lambda value: curate(archives=value)),
    "curate, metadata": ("metadata", lambda value: curate(metadata=value)),
    "curate, output": ("output", lambda value: curate(output=value)),
    "curate, threshold_t": ("threshold_t", lambda value: curate(threshold_t=value)),
    "curate, target_pairs": ("target_pairs", lambda value: curate(threshold_t=None, target_pairs=value)),
    "curate, seed": ("seed", lambda value: curate(seed=value)),
    "curate, require": ("require", lambda value: curate(require=value)),
    "curate, resume": ("resume", lambda value: curate(resume=value)),
    "rebalance": ("from_run", lambda value: rebalance(from_run=value)),
    "rebalance, downloaded": ("downloaded", lambda value: rebalance(downloaded=value)),
    "rebalance, seed": ("seed", lambda value: rebalance(seed=value)),
    "rebalance, refill_plan": ("refill_plan", lambda value: rebalance(refill_plan=value)),
    "extract_archives": ("archives", metaclip_spark.extract_archives),
    "deduplicate_pairs": ("pairs", metaclip_spark.deduplicate_pairs),
    "match_pairs": ("pool", lambda value: metaclip_spark.match_pairs(value, METADATA)),
    "filter_languages": ("matched", lambda value: metaclip_spark.filter_languages(value, "en")),
    "count_entries": ("matched", lambda value: metaclip_spark.count_entries(value, METADATA)),
    "sample_pairs": ("matched", lambda value: metaclip_spark.sample_pairs(value, [1])),
    "expected_sizes": ("matched", lambda value: metaclip_spark.expected_sizes(value, None, [1])),
    "open_run": ("the path", metaclip_spark.open_run),
    "open_run, spark": ("spark", lambda value: metaclip_spark.open_run("no-run", value)),
    "build_metadata": ("output", lambda value: metaclip_spark.build_metadata(value, wordnet="no-folder")),
}
"""Call -> the name of the argument that gets the value, and how."""

A_PATH = {"text", "path"}
FINE = {
    "Metadata.load": A_PATH,
    "EntryCounts.load": A_PATH,
    "EntryCounts.load, metadata": A_PATH,
    "Matcher": A_PATH,
    "read_archive": A_PATH,
    "open_run": A_PATH,
    "build_metadata": A_PATH,
    "curate": A_PATH | {"None"},
    "curate, metadata": A_PATH,
    "curate, output": A_PATH,
    "extract_archives": A_PATH | {"None"},
    "lint_metadata": A_PATH | {"list", "uneven", "array", "column"},
    "tail_share": {"list", "array"},
    "entry_probabilities": {"list", "array"},
    "tail_share, threshold_t": {"int"},
    "curate, threshold_t": {"None", "int"},
    "curate, target_pairs": {"None", "int"},
    "curate, seed": {"None", "int"},
    "rebalance": A_PATH,
    "rebalance, downloaded": {"None"},
    "rebalance, seed": {"None", "int"},
    "rebalance, refill_plan": {"None"},
    "curate, require": {"None"},
    "curate, resume": {"None"},
    "keeps_in_epoch, epoch": {"int"},
    "pairs_from_html": {"bytes"},
    "pairs_from_html, url": {"text"},
    "pairs_from_html, content_type": {"text"},
    "open_run, spark": {"None"},
}
"""Call -> values of a type that it takes, though what they name may not be there."""


@pytest.mark.parametrize("call", CALLS)
def test_a_value_of_a_wrong_type_is_refused_in_one_line_that_names_the_argument(call):
    name, run = CALLS[call]
    for value in VALUES.keys() - FINE.get(call, set()):
        with pytest.raises(CurationError) as caught:
            run(VALUES[value])
        message = str(caught.value)
        assert name in message, (value, message)
        assert len(message.splitlines()) == 1, (value, message)
        assert len(message) < 250, (value, message)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Matcher(None), "metadata is None: pass a Metadata, a path, or a list of strings"),
        (lambda: Matcher(5), "metadata is int: pass a Metadata, a path, or a list of strings"),
        (
            lambda: Matcher(VALUES["table"]),
            ": pass a Metadata, a path, or a list of strings",
        ),
        (lambda: Metadata.from_entries({"dog"}), ": a set has no order, and so no ids"),
        (lambda: Matcher(METADATA).match(["dog", float("nan")]), "the text at place 1 is float: pass strings"),
        (lambda: curate(output=None), "output is not given: curate needs it"),
        (lambda: curate(metadata=None), "metadata is not given: curate needs it"),
    ],
)
def test_the_message_says_the_type_and_what_is_wanted(call, message):
    with pytest.raises(CurationError) as caught:
        call()
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("form", [list, tuple, np.array, pa.array, pd.Series, iter], ids=lambda form: form.__name__)
def test_a_list_has_many_forms(form):
    entries = ["dog", "cat"]
    assert Metadata.from_entries(form(entries)) == METADATA
    assert Matcher(form(entries)).metadata == METADATA
    assert Matcher(METADATA).match(form(entries)) == [["dog"], ["cat"]]
    if form is not iter:
        assert EntryCounts(form(entries), form([3, 1])).counts.tolist() == [3, 1]
        assert metaclip_spark.tail_share(form([0, 20, 80]), 21) == 0.2


def test_a_file_stands_for_its_list(tmp_path):
    (tmp_path / "list.txt").write_text("dog\ncat\n")
    for path in (tmp_path / "list.txt", str(tmp_path / "list.txt")):
        assert Matcher(path).metadata == METADATA
    (tmp_path / "counts.json").write_text('{"dog": 3, "cat": 1}')
    assert EntryCounts.load(tmp_path / "counts.json", tmp_path / "list.txt").counts.tolist() == [3, 1]
    assert EntryCounts.load(tmp_path / "counts.json", ["dog", "cat"]).entries == METADATA.entries


def test_a_text_that_is_missing_has_no_entries():
    assert Matcher(METADATA).match([None, "a dog"]) == [[], ["dog"]]


def test_numbers_of_numpy_are_numbers():
    counts = EntryCounts(METADATA.entries, COUNTS)
    for two in (np.int64(2), np.int32(2), np.float32(2), np.uint8(2)):
        assert counts.probabilities(two).tolist() == counts.probabilities(2).tolist()
    assert metaclip_spark.threshold_for_tail_share(COUNTS, np.float64(0.25)) == 2


def test_bytes_have_many_forms():
    html = b'<img src="/dog.jpg" alt="a dog">'
    for form in (bytes, bytearray, memoryview):
        assert len(metaclip_spark.pairs_from_html(form(html), "https://example.org/")) == 1


def test_archives_are_named_one_by_one_or_together(tmp_path):
    (tmp_path / "a.warc").write_bytes(b"")
    for archives in (tmp_path.glob("*.warc"), {str(tmp_path / "a.warc")}, np.array([str(tmp_path / "a.warc")])):
        config = metaclip_spark.ExtractConfig(archives)
        assert config.archives == (str(tmp_path / "a.warc"),)
        assert type(config.archives[0]) is str
    assert metaclip_spark.ExtractConfig("a.warc").archives == ("a.warc",)
