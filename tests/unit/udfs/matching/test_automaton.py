import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.matching import entry_lists, naive_ids, texts
from tests.support.zipped import in_a_zip
from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.engine import ENGINES, load_engine
from udfs.matching.entries import entries_as_json, read_entries, write_entries
from udfs.matching.token_automaton import (
    TokenAutomaton,
    build_token_tables,
    open_token_tables,
    write_token_tables,
)
from udfs.matching.token_kernel import Tables
from udfs.numba_intrinsics import GOLDEN_RATIO

ENTRIES = ["dog", "new", "york", "new york", "new york city", "!", "U.S.", "St . Louis", " dog", "dog ", "a\tb", "a  b"]


def digest_of(entries):
    return hashlib.sha256(entries_as_json(entries)).hexdigest()


def token_automaton(entries, **options):
    return TokenAutomaton(build_token_tables(entries, "digest", **options))


def test_both_engines_on_the_cases_of_the_reference():
    alt_texts = ["New dog", "new york city!", "new  york", "U.S. St.Louis", " dog ", "a\tb", "a  b", "", None, "dog\0"]
    expected = [[0], [1, 2, 3, 4, 5], [1, 2], [7], [0, 8, 9], [], [11], [], [], []]
    assert naive_ids(alt_texts, ENTRIES) == expected
    for automaton in (token_automaton(ENTRIES), CharacterAutomaton(ENTRIES)):
        found = automaton.match(pa.array(alt_texts))
        assert found.type == pa.list_(pa.int32())
        assert found.null_count == 0
        assert found.to_pylist() == expected


@settings(deadline=None, max_examples=200)
@given(entries=entry_lists(), alt_texts=st.lists(st.none() | texts(), max_size=20))
def test_both_engines_equal_the_naive_scan(entries, alt_texts):
    array = pa.array(alt_texts, pa.string())
    expected = naive_ids(alt_texts, entries)
    assert token_automaton(entries).match(array).to_pylist() == expected
    assert CharacterAutomaton(entries).match(array).to_pylist() == expected


@settings(deadline=None, max_examples=50)
@given(entries=entry_lists(), alt_texts=st.lists(texts(), max_size=10), multiplier=st.sampled_from([0, 1, 1 << 63]))
def test_colliding_hashes_give_no_false_match(entries, alt_texts, multiplier):
    found = token_automaton(entries, multiplier=multiplier).match(pa.array(alt_texts, pa.string()))
    assert found.to_pylist() == naive_ids(alt_texts, entries)


def test_long_tokens_with_one_hash_are_told_apart():
    entries = [f"{'x' * 16}{number}" for number in range(50)] + ["x" * 16, f"{'x' * 16}0 tail"]
    automaton = token_automaton(entries, multiplier=0)
    assert automaton.match(pa.array([f"{'x' * 16}7", f"{'x' * 16}99", f"{'x' * 16}0 tail"])).to_pylist() == [
        [7],
        [],
        [0, 51],
    ]


def test_tokens_of_two_words_with_one_home_are_told_apart():
    automaton = token_automaton(["abcdefgh1", "abcdefgh2", "abcdefgh", "abcdefg"], multiplier=0)
    alt_texts = ["abcdefgh3", "abcdefgh2", "abcdefgh", "abcdefg", "abcdefgh1\0"]
    assert automaton.match(pa.array(alt_texts)).to_pylist() == [[], [1], [2], [3], []]


def test_texts_that_end_at_every_place_of_a_block():
    alt_texts = [" " * number + "dog" for number in range(200)] + ["dog" + " " * number for number in range(200)]
    assert token_automaton(["dog"]).match(pa.array(alt_texts)).to_pylist() == [[0]] * 400


def test_bytes_behind_a_null_count_for_nothing():
    offsets = pa.array([0, 3, 6], pa.int32()).buffers()[1]
    array = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"dogdog"), pa.py_buffer(b"\x01"))
    assert array.to_pylist() == ["dog", None]
    assert token_automaton(["dog"]).match(array).to_pylist() == [[0], []]


@pytest.mark.parametrize("string_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_slices_of_every_string_type(string_type):
    alt_texts = ["dog", None, "new york", "é dog", "", "york", None, "dog dog"] * 3
    array = pa.array(alt_texts, pa.string()).cast(string_type)
    automaton = token_automaton(ENTRIES)
    expected = naive_ids(alt_texts, ENTRIES)
    for start, stop in ((0, 24), (1, 9), (5, 5), (23, 24), (7, 20)):
        assert automaton.match(array[start:stop]).to_pylist() == expected[start:stop]


def test_bytes_of_a_neighbouring_text_are_never_read():
    assert token_automaton(["ab", "b"]).match(pa.array(["a", "b", "ab"])[:1]).to_pylist() == [[]]
    assert token_automaton(["a !"]).match(pa.array(["a", "!"])).to_pylist() == [[], []]


def test_texts_longer_than_the_room_for_tokens():
    entries = ["a", "b", "a a", "b a a", "a b a a b", "!", "last", "x" * 100]
    long_text = " ".join("ab"[number % 3 == 0] for number in range(5_000)) + "!" * 3_000 + " last " + "x" * 100
    alt_texts = ["a", long_text, "b", "x" * 200_000, "," * 5_000 + "a", "last"]
    assert token_automaton(entries).match(pa.array(alt_texts)).to_pylist() == naive_ids(alt_texts, entries)


def test_an_entry_across_every_cut_of_a_long_text_is_found():
    needle = "n e e d l e"
    for before in (4080, 4085, 4090, 4091, 4092, 4093, 4094, 4095, 4096, 4097):
        marks_before = "w " * (before - 10) + "!!!!! " + needle + " w" * 100
        for text in ("w " * before + needle + " w" * 5_000, marks_before):
            assert token_automaton([needle, "q"]).match(pa.array([text])).to_pylist() == [[0]]


def test_an_entry_deeper_than_the_room_for_tokens():
    entry = " ".join(["w"] * 6_000)
    alt_texts = [entry, entry[:-2], f"x {entry} y", "w"]
    assert token_automaton([entry, "x"]).match(pa.array(alt_texts)).to_pylist() == [[0], [], [0, 1], []]


def test_two_million_words():
    text = "new york dog " * 700_000
    assert token_automaton(ENTRIES).match(pa.array([text])).to_pylist() == [[0, 1, 2, 3, 9]]


def test_results_larger_than_expected():
    entries = [f"w{number}" for number in range(9_000)]
    text = " ".join(reversed(entries))
    found = token_automaton(entries).match(pa.array(["w7 w5", text, "w5", None, text]))
    assert found.to_pylist() == [[5, 7], list(range(9_000)), [5], [], list(range(9_000))]


@pytest.mark.parametrize(
    ("entries", "message"), [(["a", ""], "entry 1 is empty"), (["a", "b", "a"], "entry 2 .'a'. repeats")]
)
def test_unusable_lists_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        build_token_tables(entries, "digest")


def test_tables_survive_the_file_and_are_mapped_read_only(tmp_path):
    path = str(tmp_path / "tables")
    built = build_token_tables(ENTRIES, "digest")
    write_token_tables(built, path)
    mapped = open_token_tables(path, "digest")
    for name in Tables._fields:
        assert np.array_equal(getattr(mapped.tables, name), getattr(built.tables, name))
    assert (mapped.number_of_entries, mapped.deepest) == (len(ENTRIES), 3)
    for array in (mapped.tables.slots, mapped.tables.edges, built.tables.slots):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert path in Path("/proc/self/maps").read_text()
    automaton = TokenAutomaton(mapped)
    write_token_tables(build_token_tables(["other"], "other digest"), path)
    assert automaton.match(pa.array(["new york"])).to_pylist() == [[1, 2, 3]]
    assert [file.name for file in tmp_path.iterdir()] == ["tables"]


def test_foreign_cut_and_empty_files_are_refused(tmp_path):
    path = tmp_path / "tables"
    write_token_tables(build_token_tables(ENTRIES, "digest-a"), str(path))
    with pytest.raises(ValueError, match=r"digest-a.*digest-b"):
        open_token_tables(str(path), "digest-b")
    content = path.read_bytes()
    for damaged, message in (
        (content[:-9], "cut short within edge_filter"),
        (content[:40], "not a file of token tables"),
        (b"PAR1" + content, "not a file of token tables"),
        (b"", "is empty"),
        (content.replace(b'"version": 1', b'"version": 9'), "version 9"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            open_token_tables(str(path), "digest-a")
    with pytest.raises(FileNotFoundError):
        open_token_tables(str(tmp_path / "absent"), "digest-a")


def test_lists_travel_as_json_whose_digest_is_the_lists(tmp_path):
    path = str(tmp_path / "entries.json")
    entries = ["a", "é", '"']
    write_entries(entries, digest_of(entries), path)
    assert Path(path).read_bytes() == '["a","é","\\""]'.encode()
    assert read_entries(path, digest_of(entries)) == entries
    with pytest.raises(ValueError, match=f"{digest_of(entries)}.*other"):
        read_entries(path, "other")
    with pytest.raises(ValueError, match=f"{digest_of(entries)}.*other"):
        write_entries(entries, "other", path)


def test_an_engine_is_loaded_once_per_process(tmp_path):
    paths = {engine: str(tmp_path / engine) for engine in ENGINES}
    digest = digest_of(ENTRIES)
    write_token_tables(build_token_tables(ENTRIES, digest), paths["token"])
    write_entries(ENTRIES, digest, paths["pyahocorasick"])
    for engine in ENGINES:
        loaded = load_engine(engine, paths[engine], digest)
        Path(paths[engine]).unlink()
        assert load_engine(engine, "/elsewhere", digest) is loaded
        assert loaded.match(pa.array(["new york"])).to_pylist() == [[1, 2, 3]]
        with pytest.raises(OSError, match="elsewhere"):
            load_engine(engine, "/elsewhere", "another list")
    with pytest.raises(ValueError, match=r"no engine 'naive'.*token, pyahocorasick"):
        load_engine("naive", "", digest)


def test_matches_from_a_zip_with_a_home_that_cannot_be_written(tmp_path):
    archive = in_a_zip(tmp_path)
    # As on a cluster: the driver fills the tables, and a worker compiles the loop that scans.
    write_token_tables(build_token_tables(["dog", "a dog"], "d"), str(tmp_path / "tables"))
    script = (
        "import json, pyarrow as pa, udfs.matching.token_automaton as a\n"
        "assert '.zip' in a.__file__\n"
        f"tables = a.open_token_tables({str(tmp_path / 'tables')!r}, 'd')\n"
        "ids = a.TokenAutomaton(tables).match(pa.array(['a dog']))\n"
        "print(json.dumps(ids.to_pylist()))"
    )
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), "/proc/nowhere")
    environment = {**os.environ, "PYTHONPATH": str(archive), **nowhere}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert json.loads(done.stdout or "null") == [[0, 1]], done.stderr


def test_multiplier_is_odd():
    assert GOLDEN_RATIO % 2 == 1
