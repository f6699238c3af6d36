"""The linter over a folder of lists: what only the list's language tells."""

import json

import pytest

from metaclip_spark.metadata_builder.lint import lint_list
from tests.support.jobs import call

JAPANESE = ["猫", "the", "東京", "\u304b\u3099", "が", "猫、犬", "ー"]


@pytest.fixture
def folder(tmp_path):
    def write(lists, labels):
        for code, entries in lists.items():
            (tmp_path / code).mkdir(exist_ok=True)
            (tmp_path / code / "metadata.json").write_text(json.dumps(entries))
        files = {code: {"file": f"{code}/metadata.json"} for code in lists}
        (tmp_path / "languages.json").write_text(json.dumps({"format": 1, "lists": files, "labels": labels}))
        return tmp_path

    return write


def found_in(entries, language):
    return {finding.name: finding.ids for finding in lint_list(entries, language)}


def test_findings_depend_on_the_language():
    japanese = found_in(JAPANESE, "ja")
    assert japanese["a single Han character"] == (0,)
    assert japanese["equal to an earlier entry in Unicode's form NFC"] == (4,)
    assert japanese["a stop or comma of its script inside"] == (5,)
    assert not {"stop word", "written without spaces"} & japanese.keys()
    english = found_in(JAPANESE, "en")
    assert english["stop word"] == (1,)
    assert english["written without spaces"] == (0, 2, 3, 4, 5, 6)
    assert "written without spaces" not in found_in(JAPANESE, "other")
    assert found_in(["\u0301", "é", "a\u0301"], "fr")["combining marks only"] == (0,)
    assert found_in(["é", "e\u0301"], "fr")["equal to an earlier entry in Unicode's form NFC"] == (1,)
    severities = [finding.severity for finding in lint_list(["a", "a", "猫", "\u0301"], "de")]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_every_list_has_its_lines(folder, capsys):
    path = folder({"en": ["dog", "the"], "ja": JAPANESE, "xx": ["mie"], "other": ["ab"]}, {"en": "en", "ja": "ja"})
    assert call("lint_metadata", path) == 0
    said = capsys.readouterr().out.splitlines()
    assert "en: info: 1 stop-word entry: #1 'the'" in said
    assert "ja: info: 1 entry is a single Han character: #0 '猫'" in said
    assert "xx: warning: no label leads to this list, so that no text is matched against it" in said
    assert not any(line.startswith("other: warning") for line in said)
    assert said[-2] == "4 lists, 11 entries, 0 lists with errors"
    assert "--metadata" in said[-1]


def test_errors_of_one_list_are_the_folders(folder, capsys):
    path = folder({"de": ["U.S.", "Hund"], "ja": ["猫"]}, {"de": "de", "ja": "ja"})
    assert call("lint_metadata", path) == 2
    said = capsys.readouterr().out.splitlines()
    assert "de: error: 1 entry can never match: #0 'U.S.'" in said
    assert said[-2] == "2 lists, 3 entries, 1 list with errors"
    assert f"{path}/de/metadata.json --fix" in said[-1]


@pytest.mark.parametrize(("options", "message"), [(("--fix", "f.json"), "--fix writes one list, but --metadata ")])
def test_one_list_is_fixed_at_a_time(folder, options, message, capsys):
    path = folder({"ja": ["猫"]}, {"ja": "ja"})
    assert call("lint_metadata", path, *options) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_languages_is_refused(tmp_path, capsys):
    assert call("lint_metadata", tmp_path) == 2
    assert f"--metadata {tmp_path}/languages.json: no such file" in capsys.readouterr().err
