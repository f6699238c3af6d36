"""Several lists in one file: ids of all lists together, only what is asked for is made, damage is refused."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.word_borders import oracle_ids
from udfs.matching.engine import ENGINES, load_engine, load_list_engines
from udfs.matching.entries import entries_as_json
from udfs.matching.list_file import ListEngines, write_list_tables
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables

LISTS = {
    "de": ["Hund", "New York"],
    "ja": ["東京", "タワー", "京", "の夜"],
    "other": ["dog " * 30 + "dog"],
    "zh": ["東京", "の"],
}
TEXTS = ["東京タワーの夜景", "ein Hund in New York", "dog " * 40, None, ""]
FIRST_IDS = {"de": 0, "ja": 2, "other": 6, "zh": 7}
KINDS = [("token", "spaces"), ("token", "script")] + [
    ("pyahocorasick", rule) for rule in ("spaces", "script", "metaclip2")
]


def write(path, engine="token", word_borders="script", digest="lists", lists=None):
    lists = LISTS if lists is None else lists
    write_list_tables(lists.items(), str(path), engine=engine, metadata_digest=digest, word_borders=word_borders)
    return str(path)


@pytest.mark.parametrize(("engine", "word_borders"), KINDS)
@pytest.mark.parametrize("as_arrow", [False, True])
def test_each_list_matches_as_alone_with_ids_of_all(tmp_path, engine, word_borders, as_arrow):
    lists = {code: pa.array(entries) for code, entries in LISTS.items()} if as_arrow else LISTS
    engines = ListEngines(write(tmp_path / "lists", engine, word_borders, lists=lists), engine, "lists")
    assert (list(engines), engines.word_borders) == (list(LISTS), word_borders)
    for code in reversed(LISTS):
        alone = oracle_ids(TEXTS, LISTS[code], word_borders)
        found = engines[code].match(pa.array(TEXTS))
        assert found.type == pa.list_(pa.int32())
        assert found.to_pylist() == [[FIRST_IDS[code] + place for place in ids] for ids in alone]
    assert [file.name for file in tmp_path.iterdir()] == ["lists"]


def test_a_folder_of_one_list_finds_what_the_list_finds(tmp_path):
    entries = [entry for code in ("de", "ja", "other") for entry in LISTS[code]]
    engines = ListEngines(write(tmp_path / "lists", word_borders="spaces", lists={"en": entries}), "token", "lists")
    assert (
        engines["en"]
        .match(pa.array(TEXTS))
        .equals(TokenAutomaton(build_token_tables(entries, "digest")).match(pa.array(TEXTS)))
    )


def test_engines_are_made_when_they_are_asked_for(tmp_path):
    path = write(tmp_path / "lists")
    engines = load_list_engines("token", path, "lists")
    assert load_list_engines("token", "/elsewhere", "lists") is engines
    assert engines["ja"] is engines["ja"]
    assert set(engines._engines) == {"ja"}
    with pytest.raises(KeyError, match="xx"):
        engines["xx"]
    with pytest.raises(ValueError, match=r"no engine 'naive'"):
        load_list_engines("naive", path, "lists")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_single_list_with_other_borders_is_loaded_as_one(tmp_path, engine):
    digest = hashlib.sha256(engine.encode()).hexdigest()
    path = write(tmp_path / "list", engine, digest=digest, lists={"": LISTS["ja"]})
    assert load_engine(engine, path, digest).match(pa.array(TEXTS)).to_pylist() == oracle_ids(
        TEXTS, LISTS["ja"], "script"
    )
    several = write(tmp_path / "lists", engine, digest=digest + "2")
    with pytest.raises(ValueError, match="has 4 lists"):
        load_engine(engine, several, digest + "2")


def test_foreign_and_cut_files_are_refused(tmp_path):
    path = tmp_path / "lists"
    write(path)
    with pytest.raises(ValueError, match=r"engine token and the lists lists.*works with token and others"):
        ListEngines(str(path), "token", "others")
    with pytest.raises(ValueError, match=r"engine token .*works with pyahocorasick"):
        ListEngines(str(path), "pyahocorasick", "lists")
    content = path.read_bytes()
    for damaged, message in (
        (content[:-9], "is cut short"),
        (content[:20], "is cut short"),
        (entries_as_json(["a"]), "not a file of several lists"),
        (b"", "not a file of several lists"),
        (content.replace(b'"version": 1, "engine"', b'"version": 7, "engine"'), "version 7"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            ListEngines(str(path), "token", "lists")
    with pytest.raises(FileNotFoundError):
        ListEngines(str(tmp_path / "absent"), "token", "lists")


def test_unusable_lists_and_borders_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"list zh: entry 1 \('の'\) repeats"):
        write(tmp_path / "lists", lists={"ja": ["の"], "zh": ["の", "の"]})
    with pytest.raises(ValueError, match="token does not have the word borders metaclip2"):
        write(tmp_path / "lists", word_borders="metaclip2")
    assert not Path(tmp_path, "lists").exists()
