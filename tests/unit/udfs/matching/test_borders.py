"""Word borders: the tables, and both engines against the rules written once more (`tests.support.word_borders`)."""

import os
import random
from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import word_borders as reference
from tests.support.border_trials import made_trial, real_trial
from tests.support.matching import entry_lists, naive_ids, texts
from tests.support.word_borders import alphabet_entries, alphabet_texts, oracle_ids
from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.borders import (
    BREAK,
    BREAK_SCRIPTS,
    COMBINING_MARKS,
    UNICODE_VERSION,
    border,
    check_word_borders,
    class_of,
    metaclip2_pattern,
    ranges_of,
)
from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables
from udfs.matching.token_kernel import PADDING
from udfs.matching.unit_kernel import cut_units

TEXTS = ["東京タワーの夜景写真", "SONYのテレビ、大きい", "ภาพถ่ายแมว", "ខ្មែរ", "C++11", "a dog, 東.京", None]


def characters_of(table):
    return {chr(code) for first, last in ranges_of(table) for code in range(first, last + 1)}


def all_characters(pattern):
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    return set(regex.findall(pattern, every))


def both_engines(alt_texts, entries, word_borders):
    """Gives what both engines find, which must be the same."""
    array = pa.array(alt_texts, pa.string())
    found = CharacterAutomaton(entries, word_borders=word_borders).match(array)
    if word_borders != "metaclip2":
        tables = build_token_tables(entries, "digest", word_borders=word_borders)
        assert TokenAutomaton(tables).match(array).equals(found)
    return found.to_pylist()


@pytest.mark.parametrize("script", BREAK_SCRIPTS)
def test_break_characters_are_those_of_unicode(script):
    left_out = {"\u02ea", "\u02eb"} if script == "Bopomofo" else set()
    assert characters_of(BREAK_SCRIPTS[script]) == all_characters(rf"\p{{Script={script}}}") - left_out


def test_combining_marks_are_those_of_unicode():
    assert characters_of(COMBINING_MARKS) == all_characters(r"\p{M}")
    assert UNICODE_VERSION == "17.0", "the version that regex has is told by its tables only"


def test_break_characters_are_those_of_the_rule():
    assert tuple(BREAK_SCRIPTS) == reference.SCRIPTS
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    breaks = [character for character in every if class_of(character) & BREAK]
    assert breaks == [character for character in every if reference.BREAK.match(character)]
    assert min(breaks).encode()[0] >= 0xE0


def test_metaclip2_characters_are_those_of_the_rule():
    for code in range(0x30000):
        character = chr(code)
        bare = metaclip2_pattern(character) == character
        assert bare == bool(reference.NEEDS_NO_SPACE.match(character)), hex(code)


@given(pair=st.text(min_size=2, max_size=2) | st.lists(st.sampled_from(reference.ALPHABET), min_size=2, max_size=2))
def test_borders_between_two_characters(pair):
    assert border(*pair) == reference.border(*pair)


def test_what_each_rule_finds():
    entries = ["東京", "タワー", "の", "SONY", "、", "แมว", "ภาพ", "ខ្", "C", "C++", "東.京", "東 . 京", "京"]
    expected = {
        "spaces": [[], [], [], [], [], [11, 12], []],
        "script": [[0, 1, 2, 12], [2, 3, 4], [5, 6], [], [], [11, 12], []],
        "metaclip2": [[0, 12], [4], [5, 6], [7], [9], [11, 12], []],
    }
    for rule, ids in expected.items():
        assert oracle_ids(TEXTS, entries, rule) == both_engines(TEXTS, entries, rule) == ids, rule


def test_korean_has_spaces_and_decomposed_kana_stay_whole():
    assert both_engines(["한국의 東京", "か\u3099く"], ["한국", "か", "く", "か\u3099"], "script") == [[], [2, 3]]


def test_variants_of_ideographs_end_behind_their_selector():
    assert both_engines(["葛\U000e0100SONY"], ["葛", "SONY", "葛\U000e0100"], "script") == [[1, 2]]


@settings(deadline=None, max_examples=150)
@given(entries=alphabet_entries(), alt_texts=st.lists(st.none() | alphabet_texts(), max_size=15))
def test_engines_equal_the_rules(entries, alt_texts):
    for rule in ("spaces", "script", "metaclip2"):
        assert both_engines(alt_texts, entries, rule) == oracle_ids(alt_texts, entries, rule), rule


def test_made_texts_in_the_short_form():
    generator = random.Random(1)
    assert sum(made_trial(generator) for _ in range(15)) > 100_000


@pytest.mark.skipif("METACLIP_TEST_DATA" not in os.environ, reason="METACLIP_TEST_DATA names no folder")
def test_real_texts_in_the_short_form():
    assert real_trial(os.environ["METACLIP_TEST_DATA"], 500, random.Random(1)) > 500_000


@settings(deadline=None, max_examples=50)
@given(entries=entry_lists(), alt_texts=st.lists(st.none() | texts(), max_size=15))
def test_the_rules_agree_where_no_break_character_is(entries, alt_texts):
    entries = [entry.replace("東", "é") for entry in entries]
    entries = list(dict.fromkeys(entries))
    alt_texts = [text and text.replace("東", "é") for text in alt_texts]
    assert both_engines(alt_texts, entries, "script") == naive_ids(alt_texts, entries)


@pytest.mark.parametrize("alphabet", ["ab東京 ", "a東\u0e31\u17d2 "])
def test_every_short_text_against_every_short_entry(alphabet):
    short = ["".join(letters) for length in range(4) for letters in product(alphabet, repeat=length)]
    entries = short[1:]
    assert both_engines(short, entries, "script") == oracle_ids(short, entries, "script")


@settings(deadline=None, max_examples=100)
@given(
    entries=alphabet_entries(), alt_texts=st.lists(alphabet_texts(), max_size=10), multiplier=st.sampled_from([0, 1])
)
def test_colliding_hashes_give_no_false_match_of_units(entries, alt_texts, multiplier):
    tables = build_token_tables(entries, "digest", word_borders="script", multiplier=multiplier)
    found = TokenAutomaton(tables).match(pa.array(alt_texts, pa.string())).to_pylist()
    assert found == oracle_ids(alt_texts, entries, "script")


def naive_cut(text):
    separators = f" \t\n\r{SEPARATOR_MARKS}"
    cut = text[:1].encode()
    for left, right in pairwise(text):
        glued = left not in separators and right not in separators and reference.border(left, right)
        cut += (b"\xff" if glued else b"") + right.encode()
    return cut


@settings(deadline=None, max_examples=200)
@given(alt_texts=st.lists(alphabet_texts(longest=40) | st.text(), max_size=8))
def test_units_are_cut_at_every_border(alt_texts):
    encoded = [text.encode() for text in alt_texts]
    offsets = np.cumsum([0, *map(len, encoded)])
    data = np.frombuffer(b"".join(encoded) + bytes(PADDING), np.uint8)
    cut, ends = cut_units(data, offsets)
    assert cut.size == ends[-1] + PADDING
    assert [bytes(cut[start:end]) for start, end in pairwise(ends)] == list(map(naive_cut, alt_texts))


def test_texts_longer_than_the_room_for_tokens_keep_their_glue():
    generator = random.Random(0)
    for letters in ("東京 ", "東a京", "東京,"):
        text = "".join(generator.choices(letters, k=9_000))
        entries = list({text[start : start + length] for start in range(4080, 4110) for length in (1, 2, 3, 7)})
        assert both_engines([text, "東"], entries, "script") == oracle_ids([text, "東"], entries, "script")


@pytest.mark.parametrize(
    ("rule", "engine", "message"),
    [
        ("words", "token", r"no word borders 'words'; use one of spaces, script, metaclip2"),
        ("metaclip2", "token", r"engine token does not have the word borders metaclip2; use the engine pyahocorasick"),
    ],
)
def test_word_borders_that_there_are_none_of(rule, engine, message):
    with pytest.raises(ValueError, match=message):
        check_word_borders(rule, engine)
    with pytest.raises(ValueError, match=message):
        build_token_tables(["a"], "digest", word_borders=rule)
