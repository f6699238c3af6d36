"""Whole runs with one metadata list per language against an independent curation, number by number."""

import json
import os
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.jobs import CHECKOUT, call
from tests.support.worldwide_oracle import Choice, curate, read_lists, read_rows
from tests.support.worldwide_runs import compare, label_by_model

WORDS = {
    "de": ("Hund", "Haus", "rot", "das rote Haus", "Wald", "Sofa", "10", "läuft", "am", "Strand"),
    "en": ("dog", "house", "red", "the red house", "wood", "sofa", "10", "runs", "at the", "beach"),
    "ja": ("犬", "東京", "タワー", "東京タワー", "の", "夜景", "写真", "10", "SONY", "カメラ"),
    "ko": ("개", "한국", "집", "빨간 집", "숲", "소파", "10", "해변", "사진", "밤"),
    "km": ("ឆ្កែ", "ផ្ទះ", "ក្រហម", "ក", "ព្រៃ", "10", "រូបថត", "យប់", "ឆ្នេរ", "រត់"),
    "th": ("แมว", "สี", "ดำ", "บน", "โซฟา", "ภาพถ่าย", "แมวสีดำ", "10", "กา", "กาแฟ"),
    "zh_hant": ("狗", "房子", "紅", "紅房子", "森林", "沙發", "10", "照片", "夜景", "海灘"),
    "other": ("pas", "dom", "10", "plage", "chien", "hund", "dog", "rot", "犬", "casa"),
}
"""The words of each list, some of them within others; the last one never occurs in a list's own texts."""

LABELS = {"de": "de", "en": "en", "ja": "ja", "ko": "ko", "km": "km", "th": "th", "zh-Hant": "zh_hant", "zh": "zh_hant"}
UNSPACED = {"ja", "km", "th", "zh_hant"}
OTHER_LABELS = ("fr", "de-AT", "zh-Hant-HK", "no such label", None)
COLUMNS = ("url", "text", "label")
pytestmark = pytest.mark.usefixtures("spark")
NAMED = ("--url-column", "url", "--text-column", "text", "--language-column", "label")


def made_rows(number):
    """Makes texts of a few words of a language, common ones more often; some twice, some labelled as something else."""
    draw = random.Random(23)
    languages = {language: label for label, language in LABELS.items() if label != "zh"} | {"other": "fr"}
    weights = [2.0**-place for place in range(9)]
    rows = []
    for place in range(number):
        language = draw.choices(list(languages), [40, 60, 30, 5, 8, 8, 4, 10])[0]
        words = draw.choices(WORDS[language][:9], weights, k=draw.randint(1, 5))
        space = draw.choice(["", "、", "!"]) if language in UNSPACED else draw.choice([" ", " ", ", ", "-"])
        label = draw.choice(OTHER_LABELS) if draw.random() < 0.1 else languages[language]
        url = "no URL" if draw.random() < 0.01 else f"https://example.org/{place % (number * 9 // 10)}.jpg"
        rows.append((url, space.join(words), label))
    repeated = [(url, text, draw.choice(OTHER_LABELS)) for url, text, _ in draw.choices(rows, k=number // 20)]
    return [*rows, *repeated]


def column_label(row):
    """Gives a row's label; of one that is not among the lists' labels the language, where it is a language tag."""
    label = row["label"]
    if label in LABELS:
        return label
    return None if label in {None, "no such label"} else label.partition("-")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worldwide")
    for code, words in WORDS.items():
        (folder / "lists" / code).mkdir(parents=True)
        (folder / "lists" / code / "metadata.json").write_text(json.dumps(words))
    files = {code: {"file": f"{code}/metadata.json"} for code in WORDS}
    content = {"format": 1, "anchor": "en", "lists": files, "labels": LABELS}
    (folder / "lists" / "languages.json").write_text(json.dumps(content))
    columns = zip(*made_rows(2_000), strict=True)
    table = {name: pa.array(values, pa.string()) for name, values in zip(COLUMNS, columns, strict=True)}
    pq.write_table(pa.table(table), folder / "pool.parquet", row_group_size=500)
    return folder


@pytest.fixture(scope="module")
def raw(folder):
    return read_rows([folder / "pool.parquet"], *COLUMNS)


@pytest.fixture(scope="module")
def lists(folder):
    return read_lists(folder / "lists")


def given(folder, output, *options):
    """The options of a run over the pool."""
    return ("--pool", folder / "pool.parquet", *NAMED, "--metadata", folder / "lists", "--output", output, *options)


@pytest.fixture(scope="module")
def by_column(request, folder):
    request.getfixturevalue("spark")
    output = folder / "by-column"
    options = ("--language-from", "column", "--threshold-t", 90, "--seed", 7)
    assert call("curate", *given(folder, output, *options)) == 0
    return output


def test_a_run_by_the_languages_of_a_column(by_column, raw, lists):
    wanted = curate(raw, lists, Choice(anchor_t=90), label_of=column_label, seed=7)
    assert wanted.funnel["pairs"] > wanted.funnel["pool"] > wanted.funnel["matched"] > wanted.funnel["curated"] > 500
    assert len({language.threshold_t for language in wanted.languages.values()}) > 4
    assert all(language.kept for language in wanted.languages.values())
    numbers, different = compare(by_column, wanted)
    assert not different
    assert numbers > 2_700


def test_a_tail_share_with_a_floor_and_a_threshold_that_is_given(by_column, folder, raw, lists):
    (folder / "t.json").write_text('{"ja": 3}')
    options = ("--tail-share", "0.06", "--language-thresholds", folder / "t.json", "--min-language-pairs", 40)
    assert call("curate", *given(folder, by_column, "--language-from", "column", "--resume", *options)) == 0
    choice = Choice(tail_share="0.06", given={"ja": 3}, min_pairs=40)
    wanted = curate(raw, lists, choice, label_of=column_label)
    assert any(language.floor_applied for language in wanted.languages.values())
    assert not compare(by_column, wanted)[1]


def test_a_run_by_the_languages_of_texts_in_buckets_and_on_the_second_spark_line(folder, raw, lists):
    """On the line of the tests themselves where there is no other."""
    python = os.environ.get("METACLIP_SPARK35_PYTHON", sys.executable)
    options = given(folder, folder / "by-text", "--target-pairs", 900, "--buckets", 3)
    environment = os.environ | {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python, "PYTHONPATH": str(CHECKOUT)}
    command = [python, CHECKOUT / "jobs" / "curate.py", *map(str, options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = curate(raw, lists, Choice(target_pairs=900), label_of=label_by_model)
    assert sum(language.texts > 0 for language in wanted.languages.values()) == len(WORDS)
    assert not compare(folder / "by-text", wanted)[1]
