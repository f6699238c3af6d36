"""Errors, named by what the reader should do. Each message gives value, limit and next step."""

import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches


def brief(value: object) -> str:
    """A value as part of a one-line message."""
    return " ".join(reprlib.repr(value).split())


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things in words, such as "1 archive", "2 archives" or "1,000 entries"."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def percent(share: float) -> str:
    """A share as a percentage, so that a small one does not look like none: 5.5%, 0%, or <0.1%."""
    if 0 < share < 0.001:  # noqa: PLR2004 - the smallest share that one decimal shows
        return "<0.1%"
    return f"{share:.1%}".replace(".0%", "%")


def joined(items: Sequence[str], joint: str = "and") -> str:
    """Items as part of a sentence: "a", "a and b", "a, b and c"."""
    return f"{', '.join(items[:-1])} {joint} {items[-1]}" if len(items) > 1 else "".join(items)


def meant_by(name: str, known: Iterable[str], *, alike: float = 0.6) -> str:
    """The known name that may have been meant by one that is not; empty where none is `alike`, from 0 to 1."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=alike)), "")


@contextmanager
def said_of(option: str) -> Iterator[None]:
    """Puts an option before the messages of the block, which name its value.

    Raises:
        CurationError: The same error, with the option.
        OSError: The same error of a store, with the option.
    """
    try:
        yield
    except CurationError as error:
        if str(error).startswith("--"):
            raise
        raise type(error)(f"{option} {error}") from None
    except OSError as error:
        # Those of the system are told by their number and the file.
        if error.errno is None:
            error.args = (f"{option} {error}",)
        raise


def wrong_type(name: str, value: object, wanted: str) -> str:
    """What is said of an argument of another type than it must have."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    shown = kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
    return f"{name} is {'None' if value is None else shown}: pass {wanted}"


class CurationError(Exception):
    """The root of every error that this package raises on purpose.

    Example:
        >>> from metaclip_spark import CurationError, read_archive
        >>> try:
        ...     read_archive("no-such-archive.warc.gz")
        ... except CurationError as error:
        ...     print(f"{type(error).__name__}: {error}")
        InputError: no-such-archive.warc.gz: no such file
    """


class ConfigError(CurationError, ValueError):
    """An option, or a combination of options, must be changed.

    Example:
        >>> from metaclip_spark import Matcher
        >>> Matcher(["dog"]).match("a dog")
        Traceback (most recent call last):
        metaclip_spark.errors.ConfigError: texts is the single string 'a dog': pass a list of strings, such as ['a dog']
    """


class MetadataError(CurationError, ValueError):
    """The metadata list, or counts made with another list, must be changed.

    Example:
        >>> from metaclip_spark import Metadata
        >>> Metadata.from_entries([])
        Traceback (most recent call last):
        metaclip_spark.errors.MetadataError: the metadata list in memory has no entries
    """


class SchemaMismatchError(CurationError, ValueError):
    """A table lacks a column, or has it with another type.

    Example:
        >>> import pyarrow as pa
        >>> from metaclip_spark import Matcher
        >>> Matcher(["dog"]).ids(pa.array([1]))
        Traceback (most recent call last):
        metaclip_spark.errors.SchemaMismatchError: texts is an array of int64: it must hold strings
    """


class InputError(CurationError, ValueError):
    """An input file is missing or cannot be read.

    Example:
        >>> from metaclip_spark import read_archive
        >>> read_archive("no-such-archive.warc.gz")
        Traceback (most recent call last):
        metaclip_spark.errors.InputError: no-such-archive.warc.gz: no such file
    """


class OutputExistsError(CurationError, ValueError):
    """The output holds another run, or another run holds the output.

    Example:
        >>> from metaclip_spark import OutputExistsError, curate
        >>> sample = {"metadata": "tests/data/wordnet_lemmas.txt.gz", "output": "demo-output", "threshold_t": 20}
        >>> try:
        ...     curate("tests/data/sample/*.warc.gz", **sample)
        ... except OutputExistsError as error:
        ...     print("refused:", error)
        refused: ...demo-output holds a run: resume=True goes on with it, overwrite=True...
    """


class TooManyRejectsError(CurationError):
    """More records or archives were lost than the user allows.

    It is not a ValueError: nothing that was passed need be wrong, and what was done stays.

    Example:
        >>> from metaclip_spark import CurationError, TooManyRejectsError
        >>> issubclass(TooManyRejectsError, CurationError), issubclass(TooManyRejectsError, ValueError)
        (True, False)
    """


class SuspectSampleError(CurationError):
    """The curated set's size lies outside the bound that chance allows.

    The curated set stays, and `open_run` opens it: its report says `suspect`.

    Example:
        >>> from metaclip_spark import CurationError, SuspectSampleError
        >>> issubclass(SuspectSampleError, CurationError), issubclass(SuspectSampleError, ValueError)
        (True, False)
    """


class RequirementError(CurationError):
    """A finished run does not fulfil what was required of it: a line for each check that failed.

    The curated set stays, and `open_run` opens it: the checks are in its report.

    Example:
        >>> from metaclip_spark import CurationError, RequirementError
        >>> issubclass(RequirementError, CurationError), issubclass(RequirementError, ValueError)
        (True, False)
    """


class EmptyCuratedSetError(CurationError):
    """A run is finished, and its curated set has no pairs; only commands say so by an error (exit code 3)."""


class TrainingDivergedError(CurationError):
    """A loss of the CLIP benchmark is no number any more."""
