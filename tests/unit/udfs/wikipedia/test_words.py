"""Words of languages without spaces: together they are the text, and each begins and ends where an entry may."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.matching.borders import border
from udfs.wikipedia.ngrams import NgramCounts, neighbours, token_runs
from udfs.wikipedia.words import lacks_spaces, words_in

TEXTS = {
    "ja": "東京タワーの夜景写真。SONYのカメラ「かわいい」猫𠮷野家",
    "zh": "我爱北京天安门，C++程序设计",
    "zh_yue": "佢哋去咗香港",
    "th": "ภาพถ่ายแมวสีดำบนโซฟา",
    "km": "ខ្ញុំស្រឡាញ់ឆ្មា",
    "lo": "ຂ້ອຍຮັກແມວ",
    "my": "ကျွန်တော်ကြောင်ချစ်တယ်",
    "bo": "བོད་ཡིག་གི་ཡི་གེ",
}


@pytest.mark.parametrize("language", TEXTS)
def test_words_together_are_the_text_and_stand_at_borders(language):
    text = TEXTS[language]
    words = list(words_in(text, language))
    assert "".join(words) == text
    assert len(words) > 2
    for before, behind in itertools.pairwise(words):
        assert border(before[-1], behind[0])


@given(st.text("東京タのがカSONY猫一ก่า้ขខ្ញ𠮷x+1、。「」་།", max_size=20), st.sampled_from(sorted(TEXTS)))
def test_words_of_any_text_are_the_text(text, language):
    words = list(words_in(text, language)) if text else []
    assert "".join(words) == text
    assert all(words)
    assert not any(unicodedata.category(word[0])[0] == "M" for word in words[1:])


def test_known_words_are_found():
    assert {"東京タワー", "夜景", "写真", "SONY", "カメラ"} <= set(words_in(TEXTS["ja"], "ja"))
    assert {"北京", "C++", "程序"} <= set(words_in(TEXTS["zh"], "zh"))
    assert {"ภาพถ่าย", "แมว", "โซฟา"} <= set(words_in(TEXTS["th"], "th"))


def test_runs_of_words_end_at_brackets_and_bigrams_at_stops():
    runs = list(token_runs("猫「写真」夜景。写真 夜景", "ja"))
    assert runs == [["猫"], ["写真"], ["夜景", "。", "写真", "夜景"]]
    assert list(neighbours(runs[2], "ja")) == [("写真", "夜景")]


def test_a_token_keeps_the_stop_of_its_script_but_no_bigram_crosses_it():
    counts = NgramCounts(100, "hi")
    counts.add("यह अच्छा है। वह")
    found = [row for batch in counts.take() for row in batch.to_pylist()]
    assert {row["word"] for row in found if row["kind"] == "unigram"} == {"यह", "अच्छा", "है।", "वह"}
    pairs = {(row["word"], row["next_word"]) for row in found if row["kind"] == "bigram"}
    assert pairs == {("यह", "अच्छा"), ("अच्छा", "है।")}


def test_the_english_list_is_counted_as_before():
    text = "a 東京タワー。 b"
    assert list(token_runs(text)) == [["a", "東京タワー。", "b"]]
    assert list(neighbours(["a", "東京タワー。", "b"])) == [("a", "東京タワー。"), ("東京タワー。", "b")]
    assert not lacks_spaces("en")
