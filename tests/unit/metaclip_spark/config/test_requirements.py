"""Checks of a run's numbers as they are typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.config.requirements import OPERATORS, QUANTITIES, RequireConfig, read_requirement
from metaclip_spark.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("curated>=1", ("curated>=1", "curated", ">=", 1)),
        (" matched_share  >= 30 % ", ("matched_share>=30 %", "matched_share", ">=", 0.3)),
        ("matched_share>0.30", ("matched_share>0.30", "matched_share", ">", 0.3)),
        ("pool<=1.5M", ("pool<=1.5M", "pool", "<=", 1_500_000)),
        ("curated>10_000", ("curated>10_000", "curated", ">", 10_000)),
        ("warnings==0", ("warnings==0", "warnings", "==", 0)),
        ("tail_share<1e-3", ("tail_share<1e-3", "tail_share", "<", 0.001)),
        ("matches_per_matched_pair>1.5", ("matches_per_matched_pair>1.5", "matches_per_matched_pair", ">", 1.5)),
    ],
)
def test_a_check_is_a_name_an_operator_and_a_number(text, parts):
    assert read_requirement(text) == parts


NAMES = f"names are {', '.join(QUANTITIES)}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': give a name, one of >=, <=, >, <, == and a number, in quotes for the shell, such as 'curated>=1'"),
        ("curated", "'curated': give a name, one of"),
        ("curated=1", "'curated=1': give a name, one of"),
        ("curated=>1", "'curated=>1': give a name, one of"),
        ("curated>=", "'curated>=': give a name, one of"),
        ("curated>=1\npool>=1", r"'curated>=1\npool>=1': give a name, one of"),
        ("a b>=1", "'a b>=1': give a name, one of"),
        ("curated>=many", "'curated>=many': 'many' is not a number"),
        ("curated>=nan", "'curated>=nan': 'nan' is not a number"),
        ("curated>=inf", "'curated>=inf': curated must be compared with a number from 0 to 2^63 - 1"),
        ("curated>=-1", "'curated>=-1': curated must be compared with a number from 0 to 2^63 - 1"),
        ("curated>=1e999999999", "'curated>=1e999999999': curated must be compared with a number from 0"),
        ("curated>=0.5", "'curated>=0.5': curated is a whole number: compare it with one"),
        ("curated>=50%", "'curated>=50%': curated is not a share: give a number without %"),
        ("matched_share>=30", "'matched_share>=30': matched_share is a share from 0 to 1: write it as 0.3 or 30%"),
        ("matched_share>=1e999999999%", "'matched_share>=1e999999999%': matched_share is a share from 0 to 1"),
        ("tail-shar>0", f"'tail-shar>0': no number is called tail-shar; did you mean tail_share? The {NAMES}"),
        ("colour>0", f"'colour>0': no number is called colour; the {NAMES}"),
    ],
)  # fmt: skip
def test_what_is_no_check_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError) as refused:
        read_requirement(text)
    assert str(refused.value).startswith(f"--require {message}")
    assert "\n" not in str(refused.value)


@given(st.sampled_from(list(QUANTITIES)), st.sampled_from(list(OPERATORS)), st.integers(0, 10**6), st.data())
def test_a_check_says_what_was_typed(name, operator, number, data):
    is_share = QUANTITIES[name].is_share
    shown, bound = (f"{number / 10_000}%", number / 1_000_000) if is_share else (str(number), number)
    blank = data.draw(st.sampled_from(["", " ", "\t"]))
    read = read_requirement(f"{blank}{name}{blank}{operator}{blank}{shown}")
    assert read == (f"{name}{operator}{shown}", name, operator, pytest.approx(bound, rel=1e-15))
    assert read_requirement(read.text) == read
    value = data.draw(st.floats(0, 1) if is_share else st.integers(0, 10**6))
    assert read.is_met_by(value) is eval(f"{value!r} {operator} {read.bound!r}")


@given(
    st.text(max_size=30) | st.builds("{}{}{}".format, *[st.sampled_from([*QUANTITIES, *OPERATORS, "1", "%", "-"])] * 3)
)
def test_any_other_text_is_refused_in_one_line(text):
    try:
        read = read_requirement(text)
    except ConfigError as error:
        assert str(error).startswith("--require ")
        assert len(str(error).splitlines()) == 1
    else:
        assert read.quantity in QUANTITIES


def test_checks_are_given_on_the_command_line_and_in_a_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text('require: ["curated>=1", pool > 5]\n')
    (config,) = parse_configs(["--config", str(file)], "A job.", RequireConfig)
    assert [each.text for each in config.requirements] == ["curated>=1", "pool>5"]
    file.write_text("require: curated>=1\n")
    (config,) = parse_configs(["--config", str(file)], "A job.", RequireConfig)
    assert config.require == ("curated>=1",)
    options = ["--require", "curated>=1", "pool>5", "--require=curated>=1", "--require", "pairs<9k"]
    (config,) = parse_configs(options, "A job.", RequireConfig)
    assert [each.text for each in config.requirements] == ["curated>=1", "pool>5", "pairs<9k"]
