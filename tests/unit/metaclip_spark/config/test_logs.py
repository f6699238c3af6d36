"""The log: standard error of a command, as text or JSON lines; silent and routable in a notebook or a service."""

import json
import logging

import pytest
from pyspark.errors import PySparkException
from rich.console import Console
from rich.logging import RichHandler

from metaclip_spark.commands.main import main
from metaclip_spark.config.curation import LogConfig, OutputConfig
from metaclip_spark.config.job import job
from metaclip_spark.config.logs import PACKAGE, logging_to_stderr, terminal
from metaclip_spark.errors import ConfigError, TooManyRejectsError
from tests.support.jobs import call

log = logging.getLogger(f"{PACKAGE}.runs.example")


@job(OutputConfig)
def example(output: OutputConfig) -> None:
    """Log a line of each level."""
    log.debug("looked")
    log.info("wave 3: done", extra={"step": "extract", "wave": 3, "numbers": {"pairs": 5, "share": "größer"}})
    log.warning("%s is slow", output.output)


def logged(capsys, *options: str) -> list[str]:
    assert example(["--output", "out", *options]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


def test_text_holds_time_level_and_message(capsys):
    first, second = logged(capsys)
    assert first.split(" ", 2)[2] == "INFO wave 3: done"
    assert second.split(" ", 2)[2] == "WARNING out is slow"


def test_json_lines_hold_the_numbers(capsys):
    first, second = map(json.loads, logged(capsys, "--log-format", "json"))
    assert first.pop("time")[:2] == "20"
    assert first == {
        "level": "info", "message": "wave 3: done", "step": "extract", "wave": 3,
        "numbers": {"pairs": 5, "share": "größer"},
    }  # fmt: skip
    assert (second["level"], second["message"]) == ("warning", "out is slow")


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_a_level_leaves_out_what_is_less_severe(capsys, level, lines):
    assert len(logged(capsys, "--log-level", level)) == lines


@pytest.mark.parametrize(
    ("option", "value", "choices"),
    [
        ("--log-level", "loud", "debug, info, warning, error"),
        ("--log-level", "INFO", "debug, info, warning, error"),
        ("--log-format", "xml", "text, json"),
    ],
)
def test_a_level_or_format_that_does_not_exist_is_refused_in_one_line(capsys, option, value, choices):
    expected = f"error: {option} is '{value}': it must be one of {choices} (see --help)\n"
    assert example(["--output", "out", option, value]) == 2
    assert capsys.readouterr().err == expected
    assert call("lint_metadata", "--metadata", "m.json", option, value) == 2
    assert capsys.readouterr().err == expected
    with pytest.raises(ConfigError, match=f"^{option} is '{value}': it must be one of {choices}$"):
        LogConfig(**{option[2:].replace("-", "_"): value})


FAILURES = {
    "config": (ConfigError("--x is 5:\nit must be 6"), 2, "--x is 5: it must be 6"),
    "rejects": (TooManyRejectsError("too many"), 1, "too many"),
    "store": (OSError("gone"), 1, "gone: see to it and run again with --resume"),
    "stopped": (
        KeyboardInterrupt(),
        130,
        "stopped (interrupted): committed waves and finished steps are kept; --resume goes on",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("form", [["--log-format", "json"], ["--log-format=json"], []], ids=["apart", "joined", "text"])
def test_a_failure_is_a_line_of_the_log_in_its_format(capsys, failure, form):
    error, code, message = FAILURES[failure]

    @job(OutputConfig)
    def failing(_output: OutputConfig) -> None:
        """Fail."""
        log.info("begun")
        raise error

    assert failing(["--output", "out", *form]) == code
    first, last = capsys.readouterr().err.splitlines()
    if not form:
        assert last == (message if failure == "stopped" else f"error: {message}")
        return
    assert json.loads(first)["message"] == "begun"
    told = json.loads(last)
    assert told.pop("time")[:2] == "20"
    assert told == {"level": "error", "message": message, "exit_code": code}


def test_the_trace_of_a_failed_spark_job_is_in_the_same_line(capsys):
    @job(OutputConfig)
    def failing(_output: OutputConfig) -> None:
        """Fail."""
        raise PySparkException("Job aborted\n\tat Stage.run\nCaused by: java.io.IOException: broken\n")

    assert failing(["--output", "out", "--log-format", "json"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["message"] == "a Spark job failed: java.io.IOException: broken; --resume goes on"
    assert told["exception"].startswith("Job aborted\n")


def test_what_is_refused_before_the_work_is_told_in_the_format_that_is_asked_for(capsys):
    for command, arguments, message in (
        (example, ["--resume"], "output"),
        (example, ["--output", "out", "--no-such-option"], "no-such-option"),
        (main, ["no-such-verb", "--output", "x"], "metaclip-spark has no verb 'no-such-verb'"),
    ):
        assert command([*arguments, "--log-format", "json"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        told = json.loads(line)
        assert (told["level"], told["exit_code"]) == ("error", 2)
        assert message in told["message"]
        assert command([*arguments, "--log-format", "json", "--log-format", "text"]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_nothing_is_shown_or_left_behind_without_a_command(capsys, caplog):
    logger = logging.getLogger(PACKAGE)
    before = (logger.level, list(logger.handlers))
    logged(capsys)
    assert (logger.level, list(logger.handlers)) == before
    log.info("a library is silent")
    assert capsys.readouterr().err == ""
    with caplog.at_level(logging.INFO, logger=PACKAGE):
        log.info("unless it is asked")
    assert caplog.messages[-1] == "unless it is asked"
    assert capsys.readouterr().err == ""


def test_a_failed_command_leaves_the_logger_as_it_was():
    handlers = list(logging.getLogger(PACKAGE).handlers)
    with pytest.raises(ConfigError), logging_to_stderr(LogConfig()):
        raise ConfigError("x")
    assert logging.getLogger(PACKAGE).handlers == handlers


def test_a_bar_is_drawn_only_where_the_log_goes_to_a_terminal():
    assert terminal() is None
    with logging_to_stderr(LogConfig(log_format="json")):
        assert terminal() is None
    console = Console(force_terminal=True)
    handler = RichHandler(console=console)
    logging.getLogger(PACKAGE).addHandler(handler)
    try:
        assert terminal() is console
    finally:
        logging.getLogger(PACKAGE).removeHandler(handler)


def test_a_terminal_gets_the_lines_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with logging_to_stderr(LogConfig()):
        assert terminal() is not None
        log.info("[bold]archive[/bold] %s: 10%% of it", "a[1].warc")
    assert "[bold]archive[/bold] a[1].warc: 10% of it" in capsys.readouterr().err
