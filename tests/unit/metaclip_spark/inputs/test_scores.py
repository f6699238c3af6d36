"""The files that --scores names and the rules of --keep-where: their forms, and a line for each mistake."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import ConfigError, CurationError
from metaclip_spark.inputs.scores import KeepRule, find_scores, parse_keep_rules


def write(path, **columns):
    pq.write_table(pa.table(columns), path)


def test_a_rule_is_a_name_and_an_expression():
    rules = parse_keep_rules(["safe: nsfw < 0.2", " a_1 :label = 'a:b'"])
    assert rules == (KeepRule("safe", "nsfw < 0.2"), KeepRule("a_1", "label = 'a:b'"))
    assert rules[0].reason == "filter.safe"
    assert parse_keep_rules([]) == ()


@pytest.mark.parametrize("text", ["nsfw < 0.2", "Safe: a", "sa fe: a", ": a", "safe:", "", "safe: \n", "ß: a"])
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(ConfigError, match=r"^--keep-where '.*' is no rule: give a name .* such as 'safe: nsfw < 0.2'"):
        parse_keep_rules([text])


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(ConfigError, match=r"^--keep-where: two rules are called a: give each a name of its own$"):
        parse_keep_rules(["a: x > 1", "b: x > 1", "a: y > 1"])


def test_the_first_key_that_all_files_have_counts(tmp_path):
    write(tmp_path / "1.parquet", pair_id=["1"], sha256=["0"], nsfw=[0.5], box=[[1, 2]], only=[1])
    write(tmp_path / "2.parquet", pair_id=[7], sha256=["0"], nsfw=[0.5], box=[[1, 2]])
    found = find_scores([str(tmp_path)])
    assert found.key == "sha256"
    assert found.table.schema == pa.schema([("sha256", pa.string()), ("nsfw", pa.float64())])
    assert found.table.select(["nsfw"]).columns == (("nsfw",), ("nsfw",))


def test_types_that_spark_lacks_are_read_as_larger_ones(tmp_path):
    columns = {
        "url": pa.array(["a"]).dictionary_encode(),
        "half": pa.array([0.5]).cast(pa.float32()).cast(pa.float16()),
        "byte": pa.array([200], pa.uint8()),
        "large": pa.array([2**64 - 1], pa.uint64()),
        "when": pa.array([0], pa.timestamp("ns", "Europe/Berlin")),
        "nothing": pa.nulls(1),
        "content": pa.array([b"a"]),
    }
    write(tmp_path / "1.parquet", **columns)
    found = find_scores([str(tmp_path / "1.parquet")])
    assert found.table.schema == pa.schema(
        [
            ("url", pa.string()),
            ("half", pa.float32()),
            ("byte", pa.int16()),
            ("large", pa.decimal128(20, 0)),
            ("when", pa.timestamp("us", "UTC")),
        ]
    )


def test_scores_of_nothing_are_refused(tmp_path):
    write(tmp_path / "1.parquet", id=["1"], url=[1], nsfw=[0.5])
    with pytest.raises(CurationError) as error:
        find_scores([str(tmp_path)])
    assert str(error.value) == (
        "--scores has no column of strings pair_id, image_url, url, sha256, sha512 or md5 in all of its files; it has "
        "id, url, nsfw: add the column that says whose scores they are"
    )
    with pytest.raises(CurationError, match=r"^--scores .*none: no such file or folder$"):
        find_scores([str(tmp_path / "none")])
