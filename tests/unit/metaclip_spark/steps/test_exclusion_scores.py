"""What scores exclude, against plain Python; and a line for each rule that cannot be one."""

from collections import defaultdict
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import ConfigError, CurationError, InputError
from metaclip_spark.inputs.scores import find_scores, parse_keep_rules
from metaclip_spark.steps.exclusion.scores import ScoreTally, columns_of_rules, score_reasons, tally_scores
from metaclip_spark.steps.exclusion.user_tables import read_user_table
from udfs.exclusion.url_key import url_key

RULES = ("safe: nsfw < 0.2", "large: width >= 100 and kind <> 'icon'")
KEYS = {"pair_id": "pair_id", "url": "image_url", "sha256": "image_hash"}


def pairs_and_scores(key):
    """Makes pairs, and scores for three quarters of them, some of them null, and for some that are no pairs."""
    random = Random(7)
    pairs = [
        {
            "pair_id": f"{number:032x}",
            "image_url": f"http{'s' * (number % 3 == 0)}://a/{number // 2}",
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
    key_of = {"pair_id": str, "url": lambda url: url_key(url).text, "sha256": str.lower}[key]
    of_key = defaultdict(set)
    for row in rows:
        if row[key] is not None:
            of_key[key_of(row[key])].add(expected_reason(row, keep_unscored))
    unscored = {expected_reason(None, keep_unscored)}
    found = {pair["pair_id"]: of_key.get(key_of(pair[KEYS[key]] or ""), unscored) for pair in pairs}
    expected = {
        pair_id: next(reason for reason in ("filter.safe", "filter.large", None) if reason in reasons)
        for pair_id, reasons in found.items()
    }
    assert (max(map(len, found.values())) > 1) == (key == "url")
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
    columns = {"nsfw": [0.1, 0.2, 0.3, 0.4], "zero": [1, 1, 1, 0], "label": ["now"] * 4}
    times = {"day": pa.array([0] * 4, pa.date32()), "time": pa.array([0] * 4, pa.timestamp("us", "UTC"))}
    pq.write_table(pa.table({"pair_id": ["b", "a", "b", "a"], **columns, **times}), folder / "scores.parquet")
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
        assert message.endswith("; the columns of --scores are pair_id, nsfw, zero, label, day, time")


CLOCKS = (
    "time < timestamp 'now'", "time < TIMESTAMP'Now'", "day < date 'today'", "day < date /* at ' */ ' tomorrow '",
    'day < date -- the clock\n"yesterday"', "time < timestamp_ltz 'today Europe/Berlin'", "day < date r'now'",
    r"day < date '\156ow'", "time < timestamp_ntz 'now'", "'x' = 'date' and day < date 'now'",
    "time < 'now'", "day = 'today'", "day > 'yesterday '", "day between '2020-01-01' and 'tomorrow'",
    "time < cast('now' as timestamp)", "time < cast('NOW' as timestamp_ntz)", "day < cast('to' || 'day' as date)",
    "day < try_cast('now' as date)", "day < date('today')", "time < timestamp('now')",
    "day < to_date('today')", "time < to_timestamp('now')", "day < date_add('today', -1)", "year('today') < 2100",
    "hour('now') < 12", "datediff('now', day) < 9", "day in ('2020-01-01', 'today')", "try_to_timestamp('now') > time",
    "if(nsfw < 1, cast('now' as date), day) = day", "case day when 'today' then true end",
    "exists(array(day), x -> x < 'now')", "array_contains(array(cast('now' as date)), day)",
    "time < localtimestamp()", "time < current_timestamp", "day < current_date", "day < curdate()", "time < now()",
    "unix_timestamp() > 3", "nsfw < randn(3)", "nsfw < random()", "label < uuid()", "size(shuffle(array(1, 2))) = 2",
    "current_timezone() = 'UTC'", "current_user() = 'a'", "current_database() = 'a'", "version() = ''",
    "spark_partition_id() = 0", "input_file_block_start() = 0", "aes_encrypt(label, '0000111122223333') is null",
)  # fmt: skip

NO_CLOCKS = (
    "time < timestamp '2020-01-01 00:00:00'", "day < date '+2020-01-01'", "day > date 'epoch'", "label = 'now'",
    "label in ('today', 'tomorrow')", r"label like '%date \'now\'%'", "label <> 'date ''now'''",
    "day < cast(label as date)", "day < '2020-01-01'", "label = cast(day as string)", "nsfw < 0.2 /* date 'now' */",
    "date_format(time, 'yyyy') = '2020'", "day < to_date('2020', 'yyyy')", "label = \"date 'now'\"",
    "day < date(concat('2020', '-01-01'))", "day < date_add('2020-01-01', 7)",
)  # fmt: skip


@pytest.mark.parametrize("expression", CLOCKS)
def test_what_the_clock_or_chance_decides_is_refused(spark, few, expression):
    with pytest.raises(ConfigError, match="is not decided by the row of scores alone"):
        columns_of_rules(spark, few, parse_keep_rules([f"a: {expression}"]))


@pytest.mark.parametrize("expression", NO_CLOCKS)
def test_times_that_stay_are_no_clock(spark, few, expression):
    assert columns_of_rules(spark, few, parse_keep_rules([f"a: {expression}"]))


def test_several_rows_of_one_image_must_all_be_good(spark, tmp_path):
    rows = {"url": ["http://a.org/1", "https://A.org/1#x", "http://a.org/2"], "nsfw": [0.1, 0.9, 0.1]}
    pq.write_table(pa.table(rows), tmp_path / "scores.parquet")
    scores = find_scores([str(tmp_path)])
    pairs = [("1", "https://a.org:443/1"), ("2", "https://a.org/2"), ("3", None)]
    matched = spark.createDataFrame(pairs, "pair_id string, image_url string")
    table = read_user_table(spark, scores.table)
    judged = score_reasons(matched, table, scores.key, parse_keep_rules(["safe: nsfw < 0.5"]), keep_unscored=True)
    assert {row.pair_id: row.score_reason for row in judged.collect()} == {"1": "filter.safe", "2": None, "3": None}


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
