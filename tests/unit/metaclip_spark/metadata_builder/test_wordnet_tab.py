"""Wordnets in tab form: which lines are lemmas of the list's language."""

import gzip

import pytest

from metaclip_spark.config.languages import LANGUAGES
from metaclip_spark.errors import InputError
from metaclip_spark.metadata_builder.wordnet_tab import CODES, read_wordnet_lemmas

ARABIC = (
    "# A wordnet\tarb\thttps://example.org\tCC BY\n"
    "00000001-n\tarb:lemma\tقطة\n"
    "00000001-n\tarb:lemma:root\tقطط\n"
    "00000001-n\tarb:def\t0\tحيوان\n"
    "00000002-n\tarb:lemma\tكلب_بحر\n"
    "00000002-n\tarb:lemma\t+\n"
    "\n"
    "00000003-n\tlemma\tطائر\n"
)


@pytest.fixture
def tab(tmp_path):
    def write(content, name="wn-data-arb.tab"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return (str(tmp_path / name),)

    return write


def test_all_lemmas_are_read_and_nothing_else(tab):
    found = read_wordnet_lemmas(tab(ARABIC), "ar")
    assert found.lemmas == ("طائر", "قطة", "كلب بحر")
    assert found.synsets == 3
    lines = {"lines": 6, "counted": 3, "line.skipped_type": 2, "line.skipped_no_lemma": 1}
    assert found.tally == {"wn-data-arb.tab": lines}
    assert read_wordnet_lemmas(tab(gzip.compress(ARABIC.encode()), "packed.tab.gz"), "ar").lemmas == found.lemmas


def test_case_is_kept_and_plus_signs_are_taken_out(tab):
    content = "1-n\tzsm:lemma\tKuala_Lumpur\n1-n\tind:lemma\tJakarta\n1-n\tzsm:lemma\tkereta+api\n"
    assert read_wordnet_lemmas(tab(content), "ms").lemmas == ("Kuala Lumpur", "keretaapi")
    assert read_wordnet_lemmas(tab(content), "id").lemmas == ("Jakarta",)


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\x1c"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_ends_at_its_line_feed_alone(tab, sign, end):
    content = f"1-n\tarb:lemma\ta{sign}b{end}2-n\tarb:lemma\tc{end}"
    found = read_wordnet_lemmas(tab(content), "ar")
    assert found.lemmas == (f"a{sign}b", "c")
    assert found.tally == {"wn-data-arb.tab": {"lines": 2, "counted": 2}}


def test_codes_are_those_of_wikipedias():
    wanted = {"als": "sq", "fas": "fa", "qcn": "zh", "cmn": "zh", "arb": "ar", "zsm": "ms", "nob": "no"}
    assert {code: CODES[code] for code in wanted} == wanted
    assert not {wiki for wiki in CODES.values() if wiki not in LANGUAGES} - {"zh_yue"}


@pytest.mark.parametrize(
    ("content", "language", "message"),
    [
        ("1-n\tals:lemma\tmace\n", "als", "wn-data-arb.tab has no lemma of als, it has sq: give the wordnet of"),
        ("# only a comment\n", "ar", "has no lemma of ar, it has none at all"),
        ("1-n lemma dog\n", "en", "line 1: '1-n lemma dog' is not a synset, a type and a lemma, separated by tabs"),
        (b"1-n\tarb:lemma\t\xff\n", "ar", "wn-data-arb.tab is not UTF-8 at byte 14"),
    ],
)
def test_a_file_that_gives_nothing_is_named(tab, content, language, message):
    with pytest.raises(InputError, match=message):
        read_wordnet_lemmas(tab(content), language)
