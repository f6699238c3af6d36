"""Folders of metadata lists, one per language."""

import json

import pytest

from metaclip_spark import MatchConfig, Metadata
from metaclip_spark.entries import MetadataList, load_metadata, load_to_match
from metaclip_spark.errors import ConfigError, MetadataError

LISTS = {"zh_yue": ["山", "海"], "en": ["dog", "cat", "New York"], "other": ["dog"]}
LABELS = {"yue": "zh_yue", "en": "en", "lrc": "other"}


def write_lists(folder, lists=LISTS, /, **named):
    """Writes a folder of lists; `named` replaces keys of languages.json, None leaves one out."""
    for code, entries in lists.items():
        (folder / code).mkdir(parents=True)
        (folder / code / "metadata.json").write_text(json.dumps(entries))
    files = {code: {"file": f"{code}/metadata.json"} for code in lists}
    content = {"format": 1, "anchor": "en", "lists": files, "labels": LABELS} | named
    kept = {key: value for key, value in content.items() if value is not None}
    (folder / "languages.json").write_text(json.dumps(kept))
    return folder


def test_ids_go_on_from_one_list_to_the_next_in_the_order_of_codes(tmp_path):
    metadata = Metadata.load(write_lists(tmp_path))
    assert metadata.entries == ("dog", "cat", "New York", "dog", "山", "海")
    alone = {code: Metadata.from_entries(entries).digest for code, entries in LISTS.items()}
    assert metadata.lists == (
        MetadataList("en", 0, 3, alone["en"]),
        MetadataList("other", 3, 1, alone["other"]),
        MetadataList("zh_yue", 4, 2, alone["zh_yue"]),
    )
    assert metadata.starts.tolist() == [0, 3, 4, 6]
    assert (metadata.labels, metadata.anchor, metadata.word_borders) == (LABELS, "en", "script")


def test_codes_are_in_the_order_of_their_bytes(tmp_path):
    codes = ["b", "a_b", "a", "a-b", "B", "ab", "a0"]
    metadata = Metadata.load(write_lists(tmp_path, {code: ["x"] for code in codes}, anchor=None, labels={"b": "b"}))
    assert [each.code for each in metadata.lists] == sorted(codes, key=str.encode)
    assert metadata.anchor is None


def test_the_digest_is_of_lists_labels_and_borders_only(tmp_path):
    first = Metadata.load(write_lists(tmp_path / "first"))
    again = Metadata.load(write_lists(tmp_path / "again", dict(reversed(LISTS.items())), anchor="other"))
    assert first.digest == again.digest
    others = [
        Metadata.load(tmp_path / "first", word_borders="spaces"),
        Metadata.load(write_lists(tmp_path / "labels", labels=LABELS | {"nb": "other"})),
        Metadata.load(write_lists(tmp_path / "lists", LISTS | {"other": ["cat"]})),
        Metadata.load(write_lists(tmp_path / "codes", {**LISTS, "de": ["Hund"]})),
    ]
    assert len({first.digest, *(each.digest for each in others)}) == 1 + len(others)


def test_a_single_list_is_what_it_was(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(["dog", "cat"]))
    plain = load_metadata(str(tmp_path / "list.json"))
    assert plain == Metadata.from_entries(["dog", "cat"]) == load_metadata(str(tmp_path / "list.json"), "spaces")
    assert (plain.lists, plain.word_borders, plain.starts.tolist()) == ((), "spaces", [0, 2])
    other = load_metadata(str(tmp_path / "list.json"), "script")
    assert other.entries == plain.entries
    assert other.digest != plain.digest


def test_a_label_may_have_the_list_for_others_where_there_is_none(tmp_path):
    labels = {"en": "en", "lrc": "other"}
    assert Metadata.load(write_lists(tmp_path, {"en": ["dog"]}, labels=labels)).labels == labels


def test_of_others_alone_no_label_needs_a_list(tmp_path):
    metadata = Metadata.load(write_lists(tmp_path, {"other": ["dog"]}, anchor=None, labels={}))
    assert [each.code for each in metadata.lists] == ["other"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"format": 2}, "format is 2: this version reads 1"),
        ({"format": None}, "has no key format: its keys are format, anchor, lists, labels"),
        ({"lists": None}, "has no key lists: its keys are format, anchor, lists, labels"),
        ({"label": {}}, "there is no key 'label': its keys are format, anchor, lists, labels"),
        ({"anchor": "fr"}, "the anchor 'fr' has no list: name one of 'en', 'other', 'zh_yue'"),
        ({"anchor": 1}, "anchor must be the code of a list, such as en"),
        ({"labels": {"nb": "no"}}, "the label 'nb' has the list 'no', which is none of 'en', 'other', 'zh_yue'"),
        ({"labels": {"nb": 1}}, "the label 'nb' must have the code of a list"),
        ({"labels": []}, "labels must be a JSON object"),
        ({"lists": {}}, "lists is empty: name one file for each language"),
        ({"lists": {"en": "x"}}, "the list 'en' must be a JSON object"),
        ({"lists": {"en": {"file": "../x.json"}}}, "the file '../x.json' of the list 'en' must lie below the folder"),
        ({"lists": {"en": {"path": "x.json"}}}, "the list 'en' must name its file, and nothing else"),
        (
            {"lists": {"": {"file": "x"}}},
            "the code '' of a list must be of letters, digits, - and _ only, such as zh_yue",
        ),
        ({"lists": {"a:b": {"file": "x"}}}, "the code 'a:b' of a list must be of letters, digits, - and _ only"),
        ({"lists": {"\ud800": {"file": "x"}}}, "of a list must be of letters, digits, - and _ only"),
        ({"labels": {"\ud800": "en"}}, "must be printable, without spaces"),
        ({"labels": {"a b": "en"}}, "the label 'a b' must be printable, without spaces"),
        ({"labels": None}, "labels leads to none of its lists: name the list of each label, such as en"),
        ({"labels": {"lrc": "other"}}, "labels leads to none of its lists"),
        ({"format": 1.0}, "format is 1.0: this version reads 1"),
    ],
)
def test_what_languages_json_cannot_say(tmp_path, named, said):
    with pytest.raises(MetadataError) as refused:
        Metadata.load(write_lists(tmp_path, **named))
    assert str(refused.value).startswith(f"{tmp_path}/languages.json")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_repeated_keys_missing_files_and_faulty_lists_are_named(tmp_path):
    (tmp_path / "twice").mkdir()
    write_lists(tmp_path / "twice")
    file = tmp_path / "twice" / "languages.json"
    file.write_text(file.read_text().replace('"lrc": "other"', '"en": "other"'))
    cases = {
        tmp_path / "twice": "labels has 'en' twice: leave one of them out",
        write_lists(tmp_path / "repeats", LISTS | {"other": ["dog", "dog"]}): "the list other ",
        write_lists(tmp_path / "surrogate", LISTS | {"other": ["\ud800"]}): "is not valid Unicode",
    }
    (tmp_path / "empty").mkdir()
    cases[tmp_path / "empty"] = "languages.json: no such file: a folder of metadata lists has one"
    missing = write_lists(tmp_path / "missing")
    (missing / "en" / "metadata.json").unlink()
    cases[missing] = f"the list en {missing}/en/metadata.json: no such file"
    inner = write_lists(tmp_path / "inner")
    write_lists(inner / "deeper")
    content = json.loads((inner / "languages.json").read_text())
    content["lists"]["en"]["file"] = "deeper"
    (inner / "languages.json").write_text(json.dumps(content))
    cases[inner] = f"the list en {inner}/deeper cannot be read"
    cases[inner / "deeper" / "languages.json"] = "names the lists of a folder: give the folder, "
    for folder, said in cases.items():
        with pytest.raises(MetadataError) as refused:
            Metadata.load(folder)
        assert said in str(refused.value), folder
        assert "\n" not in str(refused.value)


def test_more_entries_than_ids_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("metaclip_spark.entries.metadata._MOST_ENTRIES", 5)
    with pytest.raises(MetadataError, match=r"the lists up to zh_yue have 6 entries: at most"):
        Metadata.load(write_lists(tmp_path))


def test_byte_order_marks_are_no_part_of_codes_and_entries(tmp_path):
    folder = write_lists(tmp_path)
    plain = Metadata.load(folder)
    for name in ("languages.json", "en/metadata.json"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert Metadata.load(folder) == plain


def test_a_list_that_cannot_match_is_refused_by_its_code(tmp_path):
    lists = {"de": [f"Hund{place},1" for place in range(4)], "en": [f"dog{place}" for place in range(100)]}
    folder = write_lists(tmp_path, lists, labels={"de": "de", "en": "en"})
    with pytest.raises(
        MetadataError, match=r"^--metadata .*: the list de looks like CSV \(every line has a comma; 4 of 4"
    ):
        load_to_match(MatchConfig(str(folder)))


def test_lists_that_no_label_leads_to_are_told(tmp_path, caplog):
    load_to_match(MatchConfig(str(write_lists(tmp_path, labels={"en": "en"}))))
    assert "no label of languages.json leads to 1 list, zh_yue: no text is matched against it" in caplog.text


def test_a_model_that_is_none_is_refused_before_the_start(tmp_path):
    folder = write_lists(tmp_path)
    for name, said in (("languages.json", "is no model of fastText"), ("absent.bin", "no such file on this machine")):
        with pytest.raises(ConfigError, match=said):
            load_to_match(MatchConfig(str(folder), language_model=str(folder / name)))
    with pytest.raises(ConfigError, match="--page-language-probability is for --language-from page"):
        MatchConfig(str(folder), page_language_probability=0.5)
