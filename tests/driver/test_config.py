"""Configurations, the command line made of them, and the exit codes."""

import importlib.util
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from metaclip_spark.command_line import parse_configs, root_cause, run_job
from metaclip_spark.config import (
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    SampleConfig,
    as_dict,
    digest,
    result_fields,
)
from metaclip_spark.errors import ConfigError, SuspectSampleError, TooManyRejectsError

ALL = (OutputConfig, ExtractConfig, MatchConfig, LanguageConfig, SampleConfig)
LEAST = ["--archives", "a.warc.gz", "--metadata", "m.json", "--output", "out", "--threshold-t", "20000"]


def parse(*options: str) -> tuple:
    return parse_configs([*LEAST, *options], "A job.", *ALL)


def test_the_command_of_the_readme():
    output, extract, match, language, sample = parse("--seed", "7", "--resume", "--archives", "a.warc.gz", "b.warc.gz")
    assert output == OutputConfig(output="out", resume=True)
    assert extract.archives == ("a.warc.gz", "b.warc.gz")
    assert match == MatchConfig(metadata="m.json", engine="token")
    assert language == LanguageConfig()
    assert sample == SampleConfig(threshold_t=20000, seed=7)


def test_a_yaml_file_and_the_command_line_together(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("archives: [x.wat.gz]\nmetadata: m.json\noutput: out\ntail_share: 0.06\nlanguages: [en, de]\n")
    output, extract, _, language, sample = parse_configs(["--config", str(file), "--output", "other"], "A job.", *ALL)
    assert output.output == "other"
    assert extract.archives == ("x.wat.gz",)
    assert language.languages == ("de", "en")
    assert sample.tail_share == 0.06


def test_print_config_can_be_read_back(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--languages", "en,de", "--print-config")
    assert stop.value.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    assert parse_configs(["--config", str(file)], "A job.", *ALL) == parse("--languages", "en,de")


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for option in ("--threshold-t", "--rows-per-file", "--max-failed-archives", "--print-config", "--config"):
        assert option in shown
    assert "Keep pairs whose text is in one of these languages" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "--overwrite"], "--resume keeps the output and --overwrite deletes it"),
        (["--pool", "x.parquet"], "either --archives or --pool"),
        (["--tail-share", "0.06"], "exactly one of --threshold-t, --tail-share and --target-pairs"),
        (["--threshold-t", "0"], "threshold"),
        (["--threshold-t", "2.5"], "threshold"),
        (["--threshold-t", "nan"], "threshold"),
        (["--threshold-t", "many"], "threshold"),
        (["--engine", "regex"], "--engine is 'regex': it must be one of token, pyahocorasick"),
        (["--max-rejects", "1.5"], "--max-rejects is 1.5"),
        (["--max-rejects", "few"], "max_rejects"),
        (["--rows-per-file", "0"], "--rows-per-file is 0"),
        (["--archives-per-wave", "0"], "--archives-per-wave is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--min-language-probability", "0.5"], "--min-language-probability needs --languages"),
        (["--preset", "metaclip-english", "--languages", "de"], "leave out the other gate options"),
        (["--preset", "other"], "--preset is 'other'"),
        (["--unknown", "1"], "unknown"),
        (["--languages", "english"], "is no language code"),
        (["--archives", ""], "an unset variable"),
        (["--output", ""], "--output is empty"),
        (["--config", "/does/not/exist.yaml"], "does not exist"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(ConfigError) as refused:
        parse(*options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_key_in_the_yaml_file_is_refused(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("treshold_t: 5\n")
    with pytest.raises(ConfigError, match="treshold_t"):
        parse("--config", str(file))


def test_one_value_where_yaml_needs_a_list_is_refused(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("archives: x.warc.gz\nmetadata: m\noutput: o\nthreshold_t: 5\n")
    with pytest.raises(ConfigError, match="write a list"):
        parse_configs(["--config", str(file)], "A job.", *ALL)


def test_a_missing_option_is_named():
    with pytest.raises(ConfigError, match="output"):
        parse_configs(["--archives", "a"], "A job.", OutputConfig, ExtractConfig)


def test_the_preset_sets_the_gate():
    language = LanguageConfig(preset="metaclip-english")
    assert language.gate == {"languages": ["en"], "min_language_probability": 0.0}
    assert language.identifies


def test_infinity_is_a_threshold():
    assert SampleConfig(threshold_t="inf").threshold_t == float("inf")
    assert as_dict(SampleConfig(threshold_t="inf"))["threshold_t"] == "inf"


def test_the_digest_covers_only_what_changes_results():
    plain = OutputConfig(output="out")
    assert result_fields(plain) == {"output": "out"}
    assert digest(result_fields(MatchConfig("m"))) == digest(result_fields(MatchConfig("n", engine="pyahocorasick")))
    assert digest(result_fields(SampleConfig(5))) != digest(result_fields(SampleConfig(5, seed=1)))


def test_an_interrupted_job_says_how_to_go_on(capsys):
    def job() -> None:
        raise KeyboardInterrupt

    assert run_job(job) == 130
    assert capsys.readouterr().err == (
        "stopped (interrupted): committed waves and finished steps are kept; --resume goes on\n"
    )


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError, 2), (TooManyRejectsError, 1), (SuspectSampleError, 1), (None, 0)]
)
def test_exit_codes(error, code, capsys):
    def job() -> None:
        if error:
            raise error("value, limit,\nnext step")

    assert run_job(job) == code
    assert capsys.readouterr().err == ("error: value, limit, next step\n" if error else "")


def test_a_full_disk_is_named_with_its_remedy(capsys):
    def job() -> None:
        raise PySparkException("Job aborted\nCaused by: java.io.IOException: No space left on device\n")

    assert run_job(job) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: a Spark job failed: java.io.IOException: No space left on device "
        "(a local disk is full: free it, or set spark.local.dir to a larger one); --resume goes on"
    )


def test_an_exception_without_a_cause_is_named_by_itself():
    trace = (
        "An error occurred while calling o1.addFile.\n: java.nio.file.FileSystemException: /x: No space left on device"
    )
    stack = (
        "\n\tat java.base/java.nio.file.Files.copy(Files.java:1305)\n\tat java.base/java.lang.Thread.run(Thread.java)"
    )
    assert root_cause(trace + stack) == "java.nio.file.FileSystemException: /x: No space left on device"


def test_settings_are_stored_without_credentials():
    config = ExtractConfig(archives=("https://user:secret@example.org/a.gz?X-Amz-Signature=secret#part", "s3://b/c?d"))
    assert as_dict(config)["archives"] == ["https://example.org/a.gz?...", "s3://b/c?d"]


@pytest.mark.parametrize("path", sorted(Path("jobs").glob("*.py")), ids=lambda path: path.name)
def test_every_job_has_help_and_refuses_in_one_line(path, capsys):
    specification = importlib.util.spec_from_file_location(f"job_{path.stem}", path)
    job = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(job)
    with pytest.raises(SystemExit) as stop:
        job.main(["--help"])
    assert stop.value.code == 0
    capsys.readouterr()
    assert job.main(["--no-such-option", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_job_gives_the_handler_of_sigterm_back():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    during = []
    assert run_job(lambda: during.append(signal.getsignal(signal.SIGTERM))) == 0
    assert during[0] is not before
    assert signal.getsignal(signal.SIGTERM) is before
