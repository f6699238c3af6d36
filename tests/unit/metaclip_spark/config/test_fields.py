"""The types of options: one check for the command line and for Python, ranges and choices in the help."""

import dataclasses
import json
from typing import get_args

import numpy as np
import pytest

from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.config.fields import Engine, S3Access, as_dict, digest, result_fields
from metaclip_spark.config.inspection import ExplainConfig, PlanConfig
from metaclip_spark.config.metadata import LintConfig, MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.errors import ConfigError
from udfs.matching.engine import ENGINES
from udfs.sources import S3_ACCESS

NEEDED = {
    OutputConfig: {"output": "out"},
    ExtractConfig: {"crawl": "CC-MAIN-2024-10"},
    LanguageConfig: {},
    MatchConfig: {"metadata": "m.json"},
    SampleConfig: {"threshold_t": 5},
    PlanConfig: {"run": "run"},
    ExplainConfig: {"run": "run"},
    LintConfig: {"metadata": "m.json"},
    MetadataSources: {"wordnet": "w"},
    MetadataThresholds: {},
}
REFUSED = [
    (OutputConfig, "rows_per_file", 0, "an integer from 1 to 2^63 - 1"),
    (OutputConfig, "rows_per_file", 2**63, "an integer from 1 to 2^63 - 1"),
    (ExtractConfig, "archives_per_wave", 0, "an integer of at least 1"),
    (ExtractConfig, "waves_at_once", -1, "an integer of at least 1"),
    (ExtractConfig, "max_rejects", 1.5, "a number from 0 to 1"),
    (ExtractConfig, "max_rejects", float("nan"), "a number from 0 to 1"),
    (ExtractConfig, "max_failed_archives", -1, "an integer of at least 0"),
    (ExtractConfig, "attempts", 1001, "an integer from 1 to 1,000"),
    (ExtractConfig, "attempts", 2.5, "an integer from 1 to 1,000"),
    (ExtractConfig, "buckets", 257, "an integer from 0 to 256"),
    (ExtractConfig, "s3_access", "public", "one of signed, anonymous, requester-pays"),
    (ExtractConfig, "archive_type", "arc", "one of wat, warc"),
    (ExtractConfig, "limit", -1, "an integer of at least 0"),
    (ExtractConfig, "page_timeout_seconds", 0.0, "a number above 0 and at most 86,400 (a day)"),
    (ExtractConfig, "page_timeout_seconds", float("inf"), "a number above 0 and at most 86,400 (a day)"),
    (ExtractConfig, "max_page_bytes", 0, "an integer of at least 1"),
    (LanguageConfig, "min_language_probability", 1.01, "a number from 0 to 1"),
    (LanguageConfig, "preset", "other", "metaclip-english"),
    (MatchConfig, "engine", "regex", "one of token, pyahocorasick"),
    (SampleConfig, "seed", -1, "an integer from 0 to 2^64 - 1"),
    (SampleConfig, "seed", 2**64, "an integer from 0 to 2^64 - 1"),
    (PlanConfig, "tail_share", 1, "a number between 0 and 1"),
    (ExplainConfig, "pair_id", "0" * 31, "32 hex digits 0-9 and a-f"),
    (ExplainConfig, "pair_id", "0" * 32 + "\n", "32 hex digits 0-9 and a-f"),
    (LintConfig, "examples", -1, "an integer of at least 0"),
    (MetadataSources, "wordnet_names", "half", "one of published, whole"),
    (MetadataThresholds, "min_pmi", 61.0, "a number from -40 to 60 or none"),
    (MetadataThresholds, "max_entries", 20_000_001, "an integer from 0 to 20,000,000"),
]


def ids(value):
    return value.__name__ if isinstance(value, type) else None


@pytest.mark.parametrize(("config_class", "name", "value", "limit"), REFUSED, ids=ids)
def test_the_command_line_and_python_say_the_same(config_class, name, value, limit):
    shown = str(value) if not isinstance(value, str) else repr(value)
    message = f"--{name.replace('_', '-')} is {shown}: it must be {limit}"
    with pytest.raises(ConfigError) as in_python:
        config_class(**{**NEEDED[config_class], name: value})
    assert str(in_python.value) == message
    options = [f"--{key.replace('_', '-')}={given}" for key, given in {**NEEDED[config_class], name: value}.items()]
    with pytest.raises(ConfigError) as on_the_command_line:
        parse_configs(options, "A job.", config_class)
    assert str(on_the_command_line.value).replace("\\n", "") == f"{message} (see --help)".replace("\\n", "")


@pytest.mark.parametrize(
    ("config_class", "name", "value"),
    [
        (ExtractConfig, "attempts", "few"),
        (ExtractConfig, "attempts", "true"),
        (ExtractConfig, "max_rejects", "few"),
        (SampleConfig, "seed", "2,5"),
        (SampleConfig, "seed", ""),
        (OutputConfig, "rows_per_file", "https://me:secret@example.org/?key=secret"),
    ],
)
def test_a_word_where_a_number_is_wanted_is_refused_by_its_option(config_class, name, value):
    options = [f"--{key.replace('_', '-')}={given}" for key, given in {**NEEDED[config_class], name: value}.items()]
    with pytest.raises(
        ConfigError, match=rf"^--{name.replace('_', '-')} is '.*': it must be an? (integer|number) "
    ) as said:
        parse_configs(options, "A job.", config_class)
    assert "secret" not in str(said.value)
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} is "):
        config_class(**{**NEEDED[config_class], name: value})


def test_a_number_of_thousands_of_digits_is_refused_in_a_short_line():
    for value in (10**5000, "9" * 4000):
        with pytest.raises(ConfigError, match=r"--attempts is .{31,80}: it must be an integer from 1 to 1,000"):
            ExtractConfig(crawl="C", attempts=value)
    with pytest.raises(ConfigError, match=r"--attempts is .{31,80}: it must be an integer from 1 to 1,000"):
        parse_configs(["--crawl", "C", "--attempts", "9" * 4000], "A job.", ExtractConfig)


@pytest.mark.parametrize(("config_class", "name"), [(SampleConfig, "seed"), (ExtractConfig, "max_rejects")])
def test_null_is_refused_where_a_value_is_needed(config_class, name, tmp_path):
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} is 'None': it must be "):
        config_class(**{**NEEDED[config_class], name: None})
    file = tmp_path / "options.yaml"
    file.write_text(f"{name}: null\n")
    given = [f"--{key.replace('_', '-')}={value}" for key, value in NEEDED[config_class].items()]
    with pytest.raises(ConfigError, match=name.replace("_", ".")):
        parse_configs(["--config", str(file), *given], "A job.", config_class)


def test_a_quoted_flag_is_refused_and_deletes_nothing(tmp_path):
    with pytest.raises(ConfigError, match="--overwrite is 'false': it must be true or false, without quotes"):
        OutputConfig(output="x", overwrite="false")
    with pytest.raises(ConfigError, match="--overwrite is 'false': it must be true or false, without quotes"):
        MetadataOutput(output="x", overwrite="false")
    with pytest.raises(ConfigError, match="--output is '7': it must be a text"):
        OutputConfig(output=7)
    file = tmp_path / "options.yaml"
    for text in ('"false"', "n", '"0"', "[]"):
        file.write_text(f"overwrite: {text}\n")
        with pytest.raises(ConfigError, match="overwrite"):
            parse_configs(["--config", str(file), "--output", "x"], "A job.", OutputConfig)
    file.write_text("overwrite: no\n")
    assert parse_configs(["--config", str(file), "--output", "x"], "A job.", OutputConfig)[0].overwrite is False


def test_the_help_shows_ranges_and_choices(capsys):
    with pytest.raises(SystemExit):
        # Two commands have a --preset of their own.
        parse_configs(["--help"], "A job.", *(kind for kind in NEEDED if kind is not MetadataThresholds))
    shown = " ".join(capsys.readouterr().out.split())
    for line in (
        "an archive that cannot be read is tried in one run. (an integer from 1 to 1,000; default: 3)",
        "--engine {token,pyahocorasick}",
        "--s3-access {signed,anonymous,requester-pays}",
        "(metaclip-english)",
        "(a number from 0 to 1; default: 0.05)",
        "(an integer of at least 1; default: 1,000)",
    ):
        assert line in shown


def test_numbers_are_stored_as_plain_ones():
    extract, sample = parse_configs(
        ["--crawl", "C", "--attempts", "4", "--threshold-t", "5", "--seed", "7"], "A job.", ExtractConfig, SampleConfig
    )
    found = [*dataclasses.asdict(extract).values(), sample.seed, SampleConfig(5, seed=np.uint64(7)).seed]
    assert type(SampleConfig(5, seed=7.0).seed) is int
    assert {type(value) for value in found if value is not None} == {tuple, str, int, float, bool}
    assert json.loads(json.dumps(as_dict(extract)))["attempts"] == 4


def test_the_choices_are_those_of_the_workers():
    assert get_args(Engine) == ENGINES
    assert get_args(S3Access) == S3_ACCESS


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ExtractConfig(pool=("a",)), "a944d56840360327746c71d6289180b05564c346bc006d38807182afc9a2fb2c"),
        (
            ExtractConfig(crawl="CC", max_page_bytes=1000),
            "5ef1670db20132b4eb36e81f0241622bb1a5a7043d5662e8755a656ccec7e753",
        ),
        (LanguageConfig(), "75680fa20a732f9acf50718b97b7df03ddffe08b838cf6b4eb40ecb8b922bc54"),
        (
            LanguageConfig(preset="metaclip-english"),
            "23bd85342949a8c7c8e74578cb34a766e0e2772e6db670bf652754a0ad1493b8",
        ),
        (SampleConfig(threshold_t="inf"), "b66bdaa2b2b367a53882f8e10549fc71509b37b1ea7289658238fdaf47e57005"),
        (SampleConfig(tail_share=0.06, seed=7), "9cfd7f9ae9cd1bf08120b4237709246ecaffcdc48b2aa43be073c53828ef45e6"),
        (MatchConfig("m"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    ],
)
def test_digests_of_stored_runs_stay(config, expected):
    """A run that version 0.1.0 wrote must be resumed as one with the same settings."""
    assert digest(result_fields(config)) == expected
