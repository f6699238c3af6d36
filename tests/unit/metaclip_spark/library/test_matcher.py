import pyarrow as pa
import pytest
from hypothesis import given, settings

from metaclip_spark import ConfigError, Matcher, Metadata, SchemaMismatchError
from tests.support.matching import entry_lists, naive_ids, texts
from udfs.pairs.rules import clean_text

ENTRIES = ["dog", "New York", "york", "!", " padded"]


@pytest.fixture(scope="module", params=["token", "pyahocorasick"])
def matcher(request):
    return Matcher(Metadata.from_entries(ENTRIES), engine=request.param)


def test_entries_come_once_and_in_the_order_of_the_list(matcher):
    assert matcher.match(["! New York dog dog", "", "hotdog"]) == [["dog", "New York", "!"], [], []]


def test_texts_are_cleaned_as_those_of_a_page(matcher):
    assert matcher.match(["  padded", "a  padded", "New\nYork\r\n"]) == [[], [" padded"], ["New York"]]


@settings(max_examples=20, deadline=None)
@given(entries=entry_lists().filter(lambda entries: all(map(str.strip, entries))), text=texts())
def test_ids_are_those_of_the_naive_scan(entries, text):
    matcher = Matcher(Metadata.from_entries(entries))
    cleaned = clean_text(text)
    assert matcher.ids(pa.array([cleaned])).to_pylist() == naive_ids([cleaned], entries)


def test_ids_take_every_kind_of_string_column(matcher):
    expected = [[0], [], [1]]
    column = ["a dog", None, "New York"]
    for strings in (
        pa.array(column),
        pa.array(column, pa.large_string()),
        pa.array(["x", *column])[1:],
        pa.chunked_array([column[:1], column[1:]]),
    ):
        assert matcher.ids(strings).to_pylist() == expected


def test_a_single_string_is_refused(matcher):
    with pytest.raises(ConfigError, match=r"the single string 'a dog': pass a list of strings"):
        matcher.match("a dog")


def test_a_column_without_strings_is_refused(matcher):
    with pytest.raises(SchemaMismatchError, match="texts is an array of int64: it must hold strings"):
        matcher.ids(pa.array([1]))


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="engine is 'regex': it must be one of token, pyahocorasick"):
        Matcher(Metadata.from_entries(ENTRIES), engine="regex")
