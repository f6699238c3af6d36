"""The frame around every command: options, log, the end that a signal asks for, exit codes in place of errors."""

import errno
import logging
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import chain, pairwise
from typing import Any, Literal, NamedTuple

from metaclip_spark.config.command_line import one_line, parse_configs
from metaclip_spark.config.fields import OPERATIONAL, check_types, option_of
from metaclip_spark.config.signals import (
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    StoppedError,
    ended_by_signals,
    leave_at_once_from_now_on,
)
from metaclip_spark.errors import (
    ConfigError,
    CurationError,
    EmptyCuratedSetError,
    InputError,
    MetadataError,
    OutputExistsError,
    RequirementError,
    SchemaMismatchError,
)
from metaclip_spark.yarn import end_application
from udfs.sources.credentials import urls_without_credentials, without_credentials

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_MUST_CHANGE = 2
EXIT_CHECK_FAILED = 3

SCRATCH_SETTINGS = (
    "yarn.nodemanager.local-dirs on YARN, EMR and Dataproc, SPARK_LOCAL_DIRS where standalone workers start, else "
    "spark.local.dir"
)
"""Where Spark's scratch space is set: the first two override the last."""

LONGEST_COMMAND = 2000
"""Characters of a command that are kept: a shell may have put thousands of names in a pattern's place."""

_COMMAND: ContextVar[str] = ContextVar("command", default="")
_RAISED = re.compile(r"(?:[a-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception): ")

_OURS = ("metaclip_spark", "udfs")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_USER_MUST_CHANGE = (ConfigError, InputError, MetadataError, OutputExistsError, SchemaMismatchError)


TellEnd = Callable[[str, bool], None]
"""Takes the line of a job that failed, and whether it would fail alike if it were run again."""


class WhenStopped(NamedTuple):
    """What is there of a command that was stopped, how it goes on, and the option that this takes."""

    left: str
    goes_on: str
    option: str = ""

    @property
    def with_option(self) -> str:
        """What follows the words for running the same command again."""
        return f" with {self.option}" if self.option else ""


RESUMES = WhenStopped("committed waves and finished steps are kept", "--resume goes on", "--resume")
GOES_ON = WhenStopped("finished cells and checkpoints are kept", "the same command goes on")
STARTS_ANEW = WhenStopped("it is not finished", "run it again")
REPLACES = WhenStopped("it is not finished", "run it again with --overwrite", "--overwrite")


@dataclass(frozen=True)
class LogConfig:
    """How a command logs, on standard error; its result is on standard output.

    Attributes:
        log_format: text, or json: one JSON object per line, results included.
        log_level: Least severity of what is logged.
    """

    log_format: Literal["text", "json"] = field(default="text", metadata=OPERATIONAL)
    log_level: Literal["debug", "info", "warning", "error"] = field(default="info", metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class Job:
    """A command: called with arguments it parses its options, does its work and gives an exit code.

    Attributes:
        work: Takes an instance of each configuration but the last; may return an exit code.
        configs: The configuration classes whose fields are its options, `LogConfig` last.
        when_stopped: What is told of it when it is stopped.
    """

    work: Callable[..., int | None]
    configs: tuple[type, ...]
    when_stopped: WhenStopped

    @property
    def description(self) -> str:
        """What the command does, for `--help`."""
        return one_line(self.work.__doc__ or "")

    def __call__(self, argv: Sequence[str] | None = None, *, program: str | None = None) -> int:
        """Runs the command with these arguments; None reads `sys.argv`."""
        if argv is not None:
            return self._run(list(argv), program, lambda _line, _final: None)
        # Only a command that is the whole program may end the application that it runs in.
        return leave_at_once_from_now_on(self._run(sys.argv[1:], program, _tell_yarn))

    def _run(self, arguments: list[str], program: str | None, tell_end: TellEnd) -> int:
        parsed: list[Any] = []

        def parse() -> None:
            parsed.extend(parse_configs(arguments, self.description, *self.configs, program=program))

        code = run_job(parse, when_stopped=self.when_stopped, log_format=log_format_in(arguments), tell_end=tell_end)
        if code != EXIT_DONE:
            return code
        *configs, log = parsed
        run = run_of(configs)
        work = partial(self._work, configs, log, run)
        shown = without_private(arguments, self.configs)
        token = _COMMAND.set(as_typed(program or f"python jobs/{self.work.__name__}.py", shown))
        try:
            return run_job(
                work,
                when_stopped=self.when_stopped,
                log_format=log.log_format,
                run=run,
                tells_end=True,
                tell_end=tell_end,
            )
        finally:
            _COMMAND.reset(token)

    def _work(self, configs: list[Any], log: LogConfig, run: str | None) -> int | None:
        # Only now: --help does without what draws on a terminal.
        from metaclip_spark.config.logs import logging_to_stderr

        with logging_to_stderr(log, run):
            return self.work(*configs)


def job(*configs: type, when_stopped: WhenStopped = RESUMES) -> Callable[[Callable[..., int | None]], Job]:
    """Makes a command of a function that takes an instance of each configuration class."""
    return partial(Job, configs=(*configs, LogConfig), when_stopped=when_stopped)


def typed_command() -> str:
    """The command that runs, as it was typed; empty in a program that uses the library."""
    return _COMMAND.get()


def typed_options() -> list[str]:
    """The options of the command that runs, as far as they are kept whole."""
    typed = typed_command()
    return shlex.split(typed[typed.find(" --") :]) if " --" in typed and len(typed) <= LONGEST_COMMAND else []


def without_private(arguments: Sequence[str], configs: Sequence[type]) -> list[str]:
    """The arguments of a command with "..." for the values of private options."""
    names = {option_of(field.name) for config in configs for field in fields(config) if field.metadata.get("private")}
    shown = list(arguments)
    for place, argument in enumerate(arguments):
        option, is_given, _ = argument.partition("=")
        if option in names and is_given:
            shown[place] = f"{option}=..."
        elif option in names and place + 1 < len(shown):
            shown[place + 1] = "..."
    return shown


def as_typed(program: str, arguments: Sequence[str]) -> str:
    """A command line for a shell, without the credentials that URLs in it may hold."""
    # An argument may be a URL with blanks in it, or hold several.
    shown = urls_without_credentials(shlex.join(map(_without_credentials, arguments)))
    left = len(shown) - LONGEST_COMMAND
    return f"{program} {shown[:LONGEST_COMMAND]}" + (f" ... ({left:,} characters more)" if left > 0 else "")


def _without_credentials(argument: str) -> str:
    option, is_given, value = argument.partition("=")
    if is_given and option.startswith("--"):
        return f"{option}={without_credentials(value)}"
    return without_credentials(argument)


def log_format_in(arguments: Sequence[str]) -> str:
    """The log format that arguments ask for, though the others of them may be wrong."""
    options = [*chain.from_iterable(item.split("=", 1) for item in arguments)]
    asked = [value for name, value in pairwise(options) if name == "--log-format"]
    return "json" if asked[-1:] == ["json"] else "text"


def run_of(configs: Sequence[object]) -> str | None:
    """The folder that a command writes to or reads, by its configurations."""
    folders = (getattr(config, name, None) for name in ("output", "run") for config in configs)
    return next((folder for folder in folders if folder and isinstance(folder, str)), None)


def run_job(
    job: Callable[[], int | None],
    *,
    when_stopped: WhenStopped = RESUMES,
    log_format: str = "text",
    run: str | None = None,
    tells_end: bool = False,
    tell_end: TellEnd = lambda _line, _final: None,
) -> int:
    """Runs a job, its errors as one line and an exit code.

    Args:
        job: The job; may return an exit code.
        when_stopped: What is told of it when it is stopped.
        log_format: text or json.
        run: The folder that JSON lines name.
        tells_end: Whether a job that ends well says so in JSON lines, as one that fails does.
        tell_end: Called after a job that failed, but for one that a signal stopped, with its line and whether it would
            fail alike if it were run again.

    Returns:
        2 for what the user must change, 3 for a finished run that is empty or fails a check, 130 or 143 when stopped, 1
        for any other failure.
    """

    def last_line(error: BaseException) -> tuple[int, str]:
        ending = _ending(error, when_stopped)
        return ending.code, ending.as_json(run) if log_format == "json" else ending.as_text()

    failed: BaseException | None = None
    with ended_by_signals(lambda: last_line(KeyboardInterrupt())[1]) as asked_to_end:
        try:
            code = job() or EXIT_DONE
        except BaseException as error:
            # Whatever else a signal brought down is told of as that signal.
            cause = asked_to_end() or error
            if not isinstance(cause, _expected()) or _is_of_ours(cause):
                raise
            code, line = last_line(cause)
            sys.stderr.write(f"{line}\n")
            failed = cause
    if failed is not None:
        if not isinstance(failed, KeyboardInterrupt | StoppedError):
            tell_end(_ending(failed, when_stopped).in_one_line(), _fails_again(code, failed))
        return code
    if code != EXIT_DONE:
        tell_end(f"exit code {code}: what the driver printed says why", True)  # noqa: FBT003 - as `TellEnd` has it
    if tells_end and log_format == "json":
        done = _Ending(code, "done" if code == EXIT_DONE else "ended", is_error=code != EXIT_DONE)
        sys.stderr.write(f"{done.as_json(run)}\n")
    return code


def _tell_yarn(line: str, final: bool) -> None:  # noqa: FBT001 - as `TellEnd` has it
    end_application(line, final=final)


def _fails_again(code: int, error: BaseException) -> bool:
    """Tells whether a job would fail alike: what a store refuses, or one machine lacks, may be there the next time."""
    return code != EXIT_FAILED and not isinstance(error, OSError | ModuleNotFoundError)


def _expected() -> tuple[type[BaseException], ...]:
    return (KeyboardInterrupt, StoppedError, CurationError, OSError, ModuleNotFoundError, *_spark_errors())


def _is_of_ours(error: BaseException) -> bool:
    """Tells whether a module is missing that no package brings but this one: a bug."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in {"", *_OURS}


def _spark_errors() -> tuple[type[Exception], ...]:
    """What Spark raises; where Spark is not loaded, nobody can have raised it."""
    if "pyspark" not in sys.modules:
        return ()
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped, unused-ignore]
    from pyspark.errors import PySparkException

    return Py4JJavaError, PySparkException


class _Ending(NamedTuple):
    """What a failed command ends with: exit code, a line that says why, and the trace of a failed Spark job.

    Only checks that fail may be several, which have a line each.
    """

    code: int
    message: str
    is_error: bool = True
    trace: str = ""

    def as_text(self) -> str:
        # The whole story first, for who needs it; the line that says what went wrong last, where it is seen.
        lines = [f"error: {line}" if self.is_error else line for line in self.message.splitlines()]
        return "\n".join([self.trace, *lines] if self.trace else lines)

    def in_one_line(self) -> str:
        return "; ".join(self.message.splitlines())

    def as_json(self, run: str | None) -> str:
        from metaclip_spark.config.logs import as_json_line

        trace = {"exception": self.trace} if self.trace else {}
        level = logging.INFO if self.code == EXIT_DONE else logging.ERROR
        return as_json_line(self.in_one_line(), run=run, level=level, event="end", exit_code=self.code, **trace)


def _ending(error: BaseException, when_stopped: WhenStopped) -> _Ending:
    if isinstance(error, KeyboardInterrupt | StoppedError):
        terminated = isinstance(error, StoppedError) and error.number == signal.SIGTERM
        why, code = ("SIGTERM", EXIT_TERMINATED) if terminated else ("interrupted", EXIT_INTERRUPTED)
        told = f"stopped ({why}): {when_stopped.left}; {when_stopped.goes_on}"
        return _Ending(code, told, is_error=False)
    if isinstance(error, _spark_errors()):
        trace = urls_without_credentials(str(error))
        told = f"a Spark job failed: {root_cause(trace)}{_remedy(trace)}; {when_stopped.goes_on}"
        return _Ending(EXIT_FAILED, told, trace=trace)
    line = urls_without_credentials(one_line(_told_by(error)))
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        line = f"{package} is not installed for {sys.executable}: activate .venv or pip install '.[spark]'"
    if isinstance(error, (*_USER_MUST_CHANGE, FileNotFoundError, PermissionError, ModuleNotFoundError)):
        return _Ending(EXIT_USER_MUST_CHANGE, line)
    if isinstance(error, EmptyCuratedSetError | RequirementError):
        return _Ending(EXIT_CHECK_FAILED, "\n".join(map(one_line, str(error).splitlines())))
    if isinstance(error, OSError) and error.errno in _FULL:
        return _Ending(EXIT_FAILED, f"{_what_is_full(error)}, then run the same command{when_stopped.with_option}")
    again = f"run again{when_stopped.with_option}" if when_stopped.option else "run it again"
    return _Ending(EXIT_FAILED, f"{line}: mend that, then {again}" if isinstance(error, OSError) else line)


def _told_by(error: BaseException) -> str:
    """What an error says, an operating system's with the file first and without its number."""
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, str):
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _what_is_full(error: OSError) -> str:
    if error.errno == errno.EDQUOT:
        return f"the quota of {error.filename or 'a file system'} is used up: raise it or free some of it"
    return f"no space left {f'in {error.filename}' if error.filename else 'on a disk of this machine'}: free some"


def root_cause(trace: str) -> str:
    """The innermost cause in the text of a Java exception, or the last line of a Python worker's traceback."""
    lines = [line.strip() for line in trace.splitlines()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    raised = [line for line in lines if _RAISED.match(line)]
    # Without a cause py4j shows what was called, then the exception after a colon, then its stack.
    thrown = [line.removeprefix(": ") for line in lines if line.startswith(": ")][:1]
    # Its own cause gives the number of the error alone.
    not_started = [line for line in causes if "Cannot run program" in line]
    return (raised or not_started or causes or thrown or lines or [""])[-1][:500]


_REMEDIES = {
    "No space left on device": f"a local disk is full: free it, or name a larger one: {SCRATCH_SETTINGS}",
    "QuotaExceededException": "raise the quota, or free some of it",
    "exceeding physical memory limits": (
        "give a larger --conf spark.executor.memoryOverhead: Python works beside the heap of an executor"
    ),
    "Cannot run program": (
        "that Python is missing on a machine: bring it to each, or give spark-submit --archives a pack"
    ),
    "reading the port number from": (
        "the executors' Python does not start: its platform must be theirs, and its packages whole"
    ),
    "PYTHON_VERSION_MISMATCH": (
        "executors take PYSPARK_PYTHON or spark.pyspark.python: give the driver's minor version, or a pack of it"
    ),
}
"""What a failed Spark job says, and what helps, where only the cluster's owner can mend it."""


def _remedy(trace: str) -> str:
    return next((f" ({remedy})" for said, remedy in _REMEDIES.items() if said in trace), "")
