import pyarrow as pa
import pytest
from hypothesis import given, settings

from metaclip_spark import ConfigError, Matcher, Metadata, MetadataError, SchemaMismatchError
from tests.support.matching import entry_lists, naive_ids, texts
from tests.support.paths import CHECKOUT
from tests.support.word_borders import oracle_ids
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


WORLDWIDE = CHECKOUT / "tests" / "data" / "languages"
JAPANESE = "白い犬と東京の写真, SONY"


@pytest.mark.parametrize("engine", ["token", "pyahocorasick"])
def test_one_list_of_a_folder_is_matched_with_its_word_borders(engine):
    folder = Metadata.load(WORLDWIDE)
    matcher = Matcher(folder.of("ja"), engine=engine)
    assert matcher.match([JAPANESE]) == [["写真", "犬", "白い"]]
    assert matcher.ids(pa.array([JAPANESE])).to_pylist() == oracle_ids([JAPANESE], folder.of("ja").entries, "script")
    between_spaces = Metadata.load(WORLDWIDE, word_borders="spaces").of("ja")
    assert between_spaces == Metadata.load(WORLDWIDE / "ja.txt")
    assert Matcher(between_spaces, engine=engine).match([JAPANESE]) == [[]]


def test_the_borders_of_metaclip2_need_the_other_engine():
    metadata = Metadata.from_entries(["犬", "C++"], word_borders="metaclip2")
    assert Matcher(metadata, engine="pyahocorasick").match(["犬 C++11"]) == [["犬", "C++"]]
    with pytest.raises(ConfigError, match="the engine token does not have the word borders metaclip2"):
        Matcher(metadata)


def test_what_is_no_single_list_is_refused():
    folder = Metadata.load(WORLDWIDE)
    with pytest.raises(MetadataError, match=r"a Matcher takes a single list: give Metadata\.of\('bg'\)"):
        Matcher(folder)
    with pytest.raises(MetadataError, match="there is no metadata list 'xx': there are 'bg', 'de'"):
        folder.of("xx")
    with pytest.raises(MetadataError, match="there is no metadata list 'ja': this is a single list"):
        folder.of("ja").of("ja")
    for make in (Metadata.from_entries, Metadata.load):
        with pytest.raises(MetadataError, match="word_borders is 'words': it must be one of spaces, script, metaclip2"):
            make(WORLDWIDE if make is Metadata.load else ["a"], word_borders="words")
