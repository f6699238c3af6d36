"""The multilingual demo pool, from small packages in the form of the real ones."""

import importlib.util
import json

import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries import load_metadata
from tests.support.paths import CHECKOUT

NAMES = {"en": "fox", "de": "Fuchs", "ja": "キツネ", "zh-Hant": "狐狸", "yue": "狐狸", "fil": "soro"}


@pytest.fixture(scope="module")
def script():
    path = CHECKOUT / "tests" / "data" / "make_worldwide_pool.py"
    specification = importlib.util.spec_from_file_location("make_worldwide_pool", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def packages(tmp_path, script, monkeypatch):
    monkeypatch.setattr(script, "LEAST_NAMES", 2)
    locales = {locale: {"🦊": {"default": ["animal", name], "tts": [name]}, "❤️": {"tts": [f"♥ {name}"]}}
               for locale, name in NAMES.items()}  # fmt: skip
    locales["en-GB"] = {"🦊": {"default": ["vixen"], "tts": ["fox"]}}
    locales["lij"] = {"🦊": {"tts": ["vorpe"]}, "♪": {"default": ["no picture"]}}
    locales["und"] = {"🦊": {"tts": ["root"]}, "❤️": {"tts": ["root"]}}
    derived = {"en": {"👋🏻": {"tts": ["waving hand: light skin tone"]}, "🇯🇵": {"tts": ["flag: Japan"]}}}
    for folder, found in (("annotations", locales), ("annotationsDerived", derived)):
        for locale, content in found.items():
            file = tmp_path / folder / folder / locale / "annotations.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps({folder: {"identity": {}, "annotations": content}}))
    (tmp_path / "pictures").mkdir()
    for name in ("1f98a", "2764", "1f44b-1f3fb"):
        (tmp_path / "pictures" / f"{name}.svg").touch()
    stamp = tmp_path / "stamps" / "animals" / "fox.txt"
    stamp.parent.mkdir(parents=True)
    stamp.write_text("A fox.\nde.utf8=Ein Fuchs.\nzh_TW.utf8=一隻狐狸\nen_GB.utf8=A fox.\nach.utf8=\nde.snd=fox\n")
    return tmp_path


def make(script, packages, output, *options):
    given = [f"--annotations={packages}/annotations", f"--derived={packages}/annotationsDerived"]
    return script.main([*given, f"--pictures={packages}/pictures", f"--output={output}", *options])


def test_pool_and_lists_come_of_the_packages(script, packages, capsys):
    assert make(script, packages, packages / "made", f"--stamps={packages}/stamps") == 0
    rows = [tuple(row.values()) for row in pq.read_table(packages / "made" / "pool.parquet").to_pylist()]
    assert len(set(rows)) == len(rows)
    by_locale = {}
    for url, text, locale in rows:
        by_locale.setdefault(locale, []).append((url.rpartition("/")[2], text))
    assert by_locale["en"] == [
        ("2764.svg", "♥ fox"), ("1f98a.svg", "fox"),
        ("1f44b-1f3fb.svg", "waving hand: light skin tone"), ("fox", "A fox."),
    ]  # fmt: skip
    assert by_locale["zh-Hant"][-1] == ("fox", "一隻狐狸")
    assert by_locale["lij"] == [("1f98a.svg", "vorpe")]
    assert "und" not in by_locale
    metadata = load_metadata(str(packages / "made" / "lists"))
    lists = {each.code: metadata.entries[each.first_id + 100 : each.first_id + each.size] for each in metadata.lists}
    assert set(lists) == {"de", "en", "ja", "other", "tl", "zh_hant", "zh_yue"}
    assert lists["en"] == ("animal", "fox", "vixen", "♥ fox")
    assert lists["other"] == ("vorpe",)
    assert metadata.labels["yue"] == "zh_yue"
    assert metadata.labels["tl"] == metadata.labels["fil"] == "tl"
    assert "(1 names without a picture)" in capsys.readouterr().out


def test_the_same_packages_give_the_same_bytes(script, packages):
    contents = []
    for name in ("one", "two"):
        assert make(script, packages, packages / name, "--without-stamps") == 0
        files = sorted(path for path in (packages / name).rglob("*") if path.is_file())
        contents.append([(str(path.relative_to(packages / name)), path.read_bytes()) for path in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--without-stamps",), "npm could not fetch @twemoji/svg@15.0.0: install npm"),
        (("--pictures=p", "--annotations=a", "--derived=d"), "apt-get could not fetch tuxpaint-stamps-default: give"),
        (("--pictures=p", "--annotations=a", "--derived=d", "--without-stamps"), "the packages hold no captions"),
    ],
)
def test_what_cannot_be_had_is_one_line(script, tmp_path, monkeypatch, options, message, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        script.main([f"--output={tmp_path}/made", *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
