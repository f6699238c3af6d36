"""Matching a run against one metadata list per language: which list a text has, and what becomes of those without."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.jobs import call, manifest_of, rows
from tests.support.word_borders import occurs
from udfs.matching.language import likeliest_languages
from udfs.matching.spacing import spacing

LISTS = {
    "de": ["Hund", "rot", "Haus"],
    "en": ["dog", "red", "house", "the", "Hund"],
    "ja": ["犬", "東京", "タワー", "dog"],
    "other": ["dog", "chien", "犬"],
}
LABELS = {"de": "de", "en": "en", "ja": "ja", "fr": "other"}
TEXTS = (
    ("the red dog in front of the house", "en"),
    ("der rote Hund ist vor dem Haus und rot", "de"),
    ("東京タワーの夜景と犬の写真", "ja"),
    ("un chien rouge devant la maison", "fr-CA"),
    ("la perra roja delante de la casa", "es"),
    ("dog", "Swedish"),
    ("Hund", None),
    ("nothing of this is listed", "en"),
)
pytestmark = pytest.mark.usefixtures("spark")


def write_lists(folder, lists):
    """Writes a folder of lists."""
    folder.mkdir(parents=True)
    for code, entries in lists.items():
        (folder / f"{code}.json").write_text(json.dumps(entries))
    files = {code: {"file": f"{code}.json"} for code in lists}
    (folder / "languages.json").write_text(json.dumps({"format": 1, "anchor": "en", "lists": files, "labels": LABELS}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    write_lists(folder / "lists", LISTS)
    write_lists(folder / "without-other", {code: entries for code, entries in LISTS.items() if code != "other"})
    (folder / "single.json").write_text(json.dumps(["dog", "Hund"]))
    table = pa.table(
        {
            "url": [f"https://example.org/{number}.jpg" for number in range(len(TEXTS))],
            "text": [text for text, _ in TEXTS],
            "tag": pa.array([tag for _, tag in TEXTS], pa.string()),
            "none": pa.nulls(len(TEXTS), pa.string()),
        }
    )
    (folder / "in").mkdir()
    pq.write_table(table, folder / "in" / "pairs.parquet")
    return folder


@pytest.fixture(scope="module")
def extracted(folder):
    output = folder / "run"
    options = ("--pool", folder / "in", "--language-column", "tag", "--buckets", 2)
    assert call("extract_pool", *options, "--output", output) == 0
    return output


def expected(label_of, least=0.0, lists=LISTS):
    """Curates by the description alone: text -> its list and the texts of its entries; None without a list."""
    found = {}
    for text, tag in TEXTS:
        label, probability = label_of(text, tag)
        code = LABELS.get(label, "other") if probability >= least else "other"
        code = code if code in lists else "other"
        entries = [entry for entry in lists.get(code, ()) if occurs(spacing(text), entry, "script")]
        found[text] = (code, entries) if code in lists else None
    return found


def first_label(text, _tag):
    return likeliest_languages([text], 1)[0][0]


def page_label(text, tag, least=0.1):
    labels = likeliest_languages([text], 5)[0]
    return next((each for each in labels if each[0] == column_label(text, tag)[0] and each[1] >= least), labels[0])


def column_label(_text, tag):
    """Gives the language of a tag that leads to no list itself; "Swedish" is no tag."""
    return None if tag in {None, "Swedish"} else tag.partition("-")[0], 1.0


def check(output, wanted, lists=LISTS):
    """Compares the matched pairs of a run, and their numbers, with what is wanted."""
    in_order = [(code, entry) for code in sorted(lists) for entry in lists[code]]
    found = {row["alt_text"]: row for row in rows(output, "matched")}
    has_entry = {text for text, of_list in wanted.items() if of_list and of_list[1]}
    assert found.keys() == has_entry
    for text, row in found.items():
        named = [in_order[place] for place in row["entry_ids"]]
        assert (row["metadata_language"], named) == (
            wanted[text][0],
            [(wanted[text][0], each) for each in wanted[text][1]],
        )
    of_buckets = [manifest_of(output, "match", bucket)["numbers"] for bucket in range(2)]
    texts = sum((Counter(each.pop("texts")) for each in of_buckets), Counter())
    assert texts == Counter(of_list[0] for of_list in wanted.values() if of_list)
    numbers = {name: sum(each[name] for each in of_buckets) for name in of_buckets[0]}
    without = sum(of_list is None for of_list in wanted.values())
    assert numbers == {
        "pairs_in": len(TEXTS),
        "pairs": len(has_entry),
        "without_list": without,
        "unmatched": len(TEXTS) - len(has_entry) - without,
    }


@pytest.mark.parametrize("engine", ["token", "pyahocorasick"])
@pytest.mark.parametrize(
    ("options", "label_of"),
    [
        ((), first_label),
        (("--language-from", "page"), page_label),
        (("--language-from", "page", "--page-language-probability", "0.9"), lambda *each: page_label(*each, least=0.9)),
        (("--language-from", "column"), column_label),
    ],
)
def test_each_text_is_matched_against_the_list_of_its_language(extracted, folder, engine, options, label_of):
    matching = ("--metadata", folder / "lists", "--engine", engine, *options)
    assert call("match_pool", *matching, "--output", extracted, "--overwrite") == 0
    check(extracted, expected(label_of))
    labels = {row["alt_text"]: row["language"] for row in rows(extracted, "matched")}
    assert labels == {text: label_of(text, dict(TEXTS)[text])[0] for text in labels}


def test_unlikely_languages_have_the_list_of_others(extracted, folder):
    options = ("--metadata", folder / "lists", "--min-list-probability", "0.95", "--output", extracted, "--overwrite")
    assert call("match_pool", *options) == 0
    wanted = expected(first_label, least=0.95)
    assert wanted != expected(first_label)
    check(extracted, wanted)


def test_pairs_without_a_list_are_counted(extracted, folder):
    lists = {code: entries for code, entries in LISTS.items() if code != "other"}
    options = ("--metadata", folder / "without-other", "--language-from", "column", "--output", extracted)
    assert call("match_pool", *options, "--overwrite") == 0
    wanted = expected(column_label, lists=lists)
    assert sum(of_list is None for of_list in wanted.values()) == 4
    check(extracted, wanted, lists)


def test_what_only_lists_have_is_refused_with_a_single_one(extracted, folder, capsys):
    single = folder / "single.json"
    said = f"is for one list per language, and --metadata {single} is a single list: give a folder of lists, or leave"
    for options in (
        ("--language-from", "page"),
        ("--min-list-probability", "0.5"),
        ("--language-model", folder / "single.json"),
    ):
        capsys.readouterr()
        assert call("match_pool", "--metadata", single, *options, "--output", extracted, "--overwrite") == 2
        assert f"{options[0]} {said}" in capsys.readouterr().err


def test_other_options_of_lists_that_cannot_be(extracted, folder, tmp_path, capsys):
    match = ("match_pool", "--metadata", folder / "lists", "--output", extracted, "--overwrite")
    for options, said in (
        (("--language-model", tmp_path / "absent.bin"), "absent.bin: no such file on this machine"),
        (("--language-model", folder / "single.json", "--language-from", "column"), "give one of them"),
        (("--word-borders", "metaclip2"), "give --engine pyahocorasick, or --word-borders script"),
    ):
        capsys.readouterr()
        assert call(*match, *options) == 2
        assert said in capsys.readouterr().err
    pools = {"plain": (), "empty": ("--language-column", "none")}
    for name, column in pools.items():
        assert call("extract_pool", "--pool", folder / "in", *column, "--output", tmp_path / name) == 0
    for pool, origin, said in (
        ("plain", "page", "no pair of the pool"),
        ("plain", "column", "was read without --language-column"),
        ("empty", "column", "has a language: the column none of --language-column is empty; name another"),
    ):
        capsys.readouterr()
        options = ("--metadata", folder / "lists", "--language-from", origin, "--output", tmp_path / pool)
        assert call("match_pool", *options) == 2
        assert said in capsys.readouterr().err
