"""The plan of a folder of lists: which lists come of it, and what is refused."""

import pytest

from metaclip_spark.config.languages import LANGUAGES
from metaclip_spark.errors import ConfigError
from metaclip_spark.metadata_builder.worldwide.labels import LABELS, labels_of
from metaclip_spark.metadata_builder.worldwide.plan import read_plan
from udfs.matching.language import identify_languages

PLAN = """
defaults: {preset: metaclip2, unigram_counts: "counts/{wiki}.tsv", min-bigram-count: 7}
wikis:
  no: # Norwegian, which YAML takes for false
  en: {preset: metaclip1, include_mobile: true}
  simple:
  ab: {unigram_counts: [one.tsv, two.tsv]}
  zh_yue:
  zh_classical:
"""


@pytest.fixture
def plan(tmp_path):
    def read(text):
        (tmp_path / "plan.yaml").write_text(text, "utf-8")
        return read_plan(str(tmp_path / "plan.yaml"))

    return read


def test_wikis_become_lists(plan):
    found = plan(PLAN)
    assert {code: [wiki.code for wiki in wikis] for code, wikis in found.lists.items()} == {
        "en": ["en", "simple"],
        "no": ["no"],
        "zh": ["zh_classical"],
        "zh_yue": ["zh_yue"],
        "other": ["ab"],
    }
    assert list(found.lists)[-1] == "other"
    assert found.anchor == "en"
    english, simple = found.lists["en"]
    assert (english.thresholds.preset, english.sources.include_mobile) == ("metaclip1", True)
    assert english.thresholds.min_bigram_count == 7
    assert (simple.thresholds.preset, simple.sources.unigram_counts) == ("metaclip2", ("counts/simple.tsv",))
    assert found.lists["other"][0].sources.unigram_counts == ("one.tsv", "two.tsv")


def test_labels_lead_to_the_lists_that_are_there(plan):
    found = plan(PLAN)
    labels = labels_of(found.lists, found.labels)
    assert labels.keys() == LANGUAGES
    assert (labels["yue"], labels["no"], labels["lrc"], labels["ja"]) == ("zh_yue", "no", "other", "other")
    assert labels_of({"en"}, LABELS) == {"en": "en"}
    changed = plan(f"{PLAN}labels: {{nn: 'no'}}\nmerged: {{ab: zh}}\n")
    assert changed.labels["nn"] == "no"
    assert [wiki.code for wiki in changed.lists["zh"]] == ["ab", "zh_classical"]


def test_wikis_may_make_a_list_that_has_the_name_of_none(plan):
    found = plan(f"{PLAN}labels: {{'no': nb, nn: nb}}\nmerged: {{'no': nb, simple: other}}\n")
    assert [wiki.code for wiki in found.lists["nb"]] == ["no"]
    assert [wiki.code for wiki in found.lists["other"]] == ["ab", "simple"]
    assert labels_of(found.lists, found.labels)["nn"] == "nb"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("merged: {simple: enn}", "merged: 'enn' is no list of the plan: did you mean en?"),
        ("merged: {ab: ace}", "merged: 'ace' is no list of the plan: there are 'en', 'no', 'other', 'zh', 'zh_yue'"),
        ("merged: {simpel: en}", "merged: 'simpel' is no wiki of the plan: did you mean simple?"),
        ("labels: {yue: zh_yeu}", "labels: 'zh_yeu' is no list of the plan: did you mean zh_yue?"),
    ],
)
def test_a_misspelt_code_is_no_way_to_the_list_other(plan, text, message):
    with pytest.raises(ConfigError) as error:
        plan(PLAN + text)
    assert message in str(error.value)


def test_the_default_labels_are_those_of_the_model():
    asked = ["hello", "привет", "東京", "ab cd", "a"]
    assert set(identify_languages(asked)[0]) <= LABELS.keys()
    assert len(LABELS) == 176
    assert {label: code for label, code in LABELS.items() if label != code} == {
        "cbk": "cbk_zam",
        "yue": "zh_yue",
        "lrc": "other",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wikis: [ja]\n", "plan.yaml, wiki ja: no source given: give --wordnet, --articles"),
        ("wiki: [ja]\n", "has no key 'wiki': did you mean wikis?"),
        ("", "names no wikis"),
        ("- ja\n", "is no plan"),
        ("wikis:\n\tja:\n", "line 2 is not YAML"),
        ("wikis: {zh-yue: {wordnet: w}}", "wiki zh-yue is 'zh-yue', which is no code of a Wikipedia: write zh_yue"),
        ("wikis: {ja: {wordnet: w}, ja: {wordnet: v}}", "line 1: ja is there already"),
        ("wikis: {ja: {min_pmi: 99, wordnet: w}}", "wiki ja: --min-pmi is 99: it must be a number from -40 to 60"),
        ("wikis: {ja: {wordnets: w}}", "wiki ja: --wordnets: there is no such option; did you mean --wordnet"),
        ("wikis: {ja: {language: de, wordnet: w}}", "wiki ja: language cannot be given here"),
        ("wikis: {ja: {output: o, wordnet: w}}", "wiki ja: --output: there is no such option"),
        ("wikis: {ja: {include_mobile: 2, wordnet: w}}", "wiki ja: include_mobile is '2': it must be true or false"),
        ("wikis: {ja: {wordnet: {a: b}}}", "wiki ja: wordnet must be a value or a list of values"),
        ("wikis: {ja: {wordnet: w}}\nanchor: en", "the anchor 'en' is none of its lists ja"),
        ("wikis: {ja: {wordnet: w}}\nlabels: [ja]", "labels must be codes with the code of a list each"),
        ("wikis: &a [*a]", "line 1: this holds an alias of itself: write it out"),
        ("defaults: &a\n  articles: *a\n", "line 1: this holds an alias of itself"),
        ("wikis: {ja: [[[[x]]]]}", "line 1: a plan has no lists or keys so deep"),
        ("wikis: [[ja]]", "wikis must be a list of codes"),
        ("wikis: {ja: {include_mobile: [true], wordnet: w}}", "include_mobile is ['true']: it must be true or false"),
        ("wikis: {ja: {wordnet: w}}\nanchor: [ja]", "the anchor ['ja'] is none of its lists ja"),
        ("wikis: {ja: {wordnet: w}}\ndefaults: 3", "defaults must be options of build-metadata"),
    ],
)
def test_a_bad_plan_is_refused_in_one_line(plan, text, message):
    with pytest.raises(ConfigError) as error:
        plan(text)
    assert message in str(error.value)
    assert str(error.value).startswith("--plan ")
    assert "\n" not in str(error.value)


def test_a_plan_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"--plan .*missing\.yaml: no such file"):
        read_plan(str(tmp_path / "missing.yaml"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_plan(str(tmp_path))
    (tmp_path / "plan.yaml").write_bytes(b"wikis: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 7"):
        read_plan(str(tmp_path / "plan.yaml"))
