"""What scores exclude, against plain Python; and a line for each rule that cannot be one."""

from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import ConfigError, CurationError, InputError
from metaclip_spark.inputs.scores import find_scores, parse_keep_rules
from metaclip_spark.steps.exclusion.scores import ScoreTally, columns_of_rules, score_reasons, tally_scores
from metaclip_spark.steps.exclusion.user_tables import read_user_table

RULES = ("safe: nsfw < 0.2", "large: width >= 100 and kind <> 'icon'")
KEYS = {"pair_id": "pair_id", "url": "image_url", "sha256": "image_hash"}


def pairs_and_scores(key):
    """Makes pairs, and scores for three quarters of them, some of them null, and for some that are no pairs."""
    random = Random(7)
    pairs = [
        {
            "pair_id": f"{number:032x}",
            "image_url": f"http://a/{number // 2}",
            "image_hash": f"{number // 3:064x}" if number % 5 else None,
        }
        for number in range(90)
    ]
    values = sorted({pair[KEYS[key]] for pair in pairs if pair[KEYS[key]] is not None})
    scored = [*random.sample(values, len(values) * 3 // 4), "unknown", None, None]
    scores = [
        {
            key: value.upper() if value and key == "sha256" else value,
            "nsfw": random.choice([None, 0.1, 0.1, 0.15, 0.19, 0.2, float("nan")]),
            "width": random.choice([None, 99, 100, 500]),
            "height": 200,
            "kind": random.choice(["photo", "photo", "icon"]),
            "rest": "x",
        }
        for value in scored
    ]
    return pairs, scores


def expected_reason(scores, keep_unscored):
    if scores is None:
        return None if keep_unscored else "filter.safe"
    if scores["nsfw"] is None or not scores["nsfw"] < 0.2:
        return "filter.safe"
    is_large = scores["width"] is not None and scores["width"] >= 100 and scores["kind"] != "icon"
    return None if is_large else "filter.large"


@pytest.mark.parametrize(("key", "keep_unscored"), [("pair_id", False), ("url", True), ("sha256", False)])
def test_reasons_are_those_of_plain_python(spark, tmp_path, key, keep_unscored):
    pairs, rows = pairs_and_scores(key)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet", row_group_size=10)
    scores = find_scores([str(tmp_path)])
    assert scores.key == key
    rules = parse_keep_rules(RULES)
    names = columns_of_rules(spark, scores, rules)
    assert names == [key, "nsfw", "width", "kind"]
    table = read_user_table(spark, scores.table.select(names))
    matched = spark.createDataFrame(pairs, "pair_id string, image_url string, image_hash string").repartition(5)
    judged = score_reasons(matched, table, key, rules, keep_unscored=keep_unscored).collect()
    of_key = {row[key].lower(): row for row in rows if row[key] is not None}
    expected = {pair["pair_id"]: expected_reason(of_key.get(pair[KEYS[key]]), keep_unscored) for pair in pairs}
    assert len(judged) == len(pairs)
    assert {row.pair_id: row.score_reason for row in judged} == expected
    assert set(expected.values()) == {None, "filter.safe", "filter.large"}
    known = [row for row in rows if row[key] is not None]
    assert tally_scores(table, key, rules) == ScoreTally(
        rows=len(known),
        without_key=2,
        kept={
            "safe": sum(expected_reason(row, True) != "filter.safe" for row in known),
            "large": sum(row["width"] is not None and row["width"] >= 100 and row["kind"] != "icon" for row in known),
        },
    )


def test_hashes_are_the_same_in_upper_and_lower_case(spark, tmp_path):
    pq.write_table(pa.table({"md5": ["AB", "ab"], "nsfw": [0.1, 0.2]}), tmp_path / "scores.parquet")
    scores = find_scores([str(tmp_path)])
    with pytest.raises(InputError, match=r"^--scores: the md5 'ab' is there twice: give each one row$"):
        tally_scores(read_user_table(spark, scores.table), scores.key, parse_keep_rules(["a: nsfw < 1"]))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    table = pa.table({"pair_id": ["b", "a", "b", "a"], "nsfw": [0.1, 0.2, 0.3, 0.4], "zero": [1, 1, 1, 0]})
    pq.write_table(table, folder / "scores.parquet")
    return find_scores([str(folder)])


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("a: nsfw <", "--keep-where 'a: nsfw <' cannot be used ([PARSE_SYNTAX_ERROR] "),
        ("a: nsw < 0.2", "--keep-where 'a: nsw < 0.2' cannot be used ([UNRESOLVED_COLUMN"),
        ("a: no_such(nsfw)", "--keep-where 'a: no_such(nsfw)' cannot be used ([UNRESOLVED_ROUTINE]"),
        ("a: nsfw", "--keep-where 'a: nsfw' is double: give a condition, such as 'safe: nsfw < 0.2'"),
        ("a: nsfw < rand()", "is not decided by the row of scores alone"),
        ("a: nsfw < 1 or uuid() = ''", "is not decided by the row of scores alone"),
        ("a: current_timestamp() > date '2020-01-01'", "is not decided by the row of scores alone (CurrentTimestamp)"),
        ("a: now() is null", "is not decided by the row of scores alone (Now)"),
        ("a: current_date() is null", "is not decided by the row of scores alone (CurrentDate)"),
        ("a: unix_timestamp() > 3", "is not decided by the row of scores alone (CurrentTimestamp)"),
        ("a: input_file_name() = ''", "is not decided by the row of scores alone (InputFileName)"),
        ("a: monotonically_increasing_id() < 3", "is not decided by the row of scores alone"),
        ("a: java_method('java.lang.System', 'lineSeparator') = ''", "is not decided by the row of scores alone"),
        ("a: exists(select 1)", "is not decided by the row of scores alone (Exists)"),
        ("a: nsfw > (select 1)", "is not decided by the row of scores alone (ScalarSubquery)"),
        ("a: nsfw in (select 1)", "is not decided by the row of scores alone (InSubquery)"),
        ("a: python_rule(nsfw)", "is not decided by the row of scores alone (PythonUDF)"),
        ("a: max(nsfw) < 1", "is not a condition of one row: leave out sums and the like over several rows"),
        ("a: max(nsfw) over () < 1", "is not a condition of one row"),
        ("a: explode(array(true))", "is not a condition of one row"),
    ],
)
def test_what_is_no_condition_of_a_row_is_refused(spark, few, rule, line):
    if "python_rule" in rule:
        spark.udf.register("python_rule", lambda value: value < 0.5, "boolean")
    with pytest.raises(ConfigError) as error:
        columns_of_rules(spark, few, parse_keep_rules([rule]))
    message = str(error.value)
    assert line in message
    assert "\n" not in message
    assert len(message) < 450
    if "cannot be used" in message:
        assert message.endswith("; the columns of --scores are pair_id, nsfw, zero")


def test_a_key_that_is_there_twice_is_refused_with_the_first(spark, few):
    table = read_user_table(spark, few.table)
    with pytest.raises(InputError, match=r"^--scores: the pair_id 'a' is there twice: give each one row$"):
        tally_scores(table, few.key, parse_keep_rules(["a: nsfw < 1"]))


def test_a_rule_that_fails_on_a_row_is_told_by_name(spark, few):
    rules = parse_keep_rules(["a: if(zero = 0, raise_error('no'), true)"])
    with pytest.raises(
        CurationError, match=r"^--keep-where .*zero = 0.* fails on a row of --scores \(.*no.*\): use try_"
    ):
        tally_scores(read_user_table(spark, few.table), few.key, rules)
