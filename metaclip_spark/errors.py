"""Errors, named by what the reader should do. Each message gives value, limit and next step."""

import reprlib


def brief(value: object) -> str:
    """A value as part of a one-line message."""
    return " ".join(reprlib.repr(value).split())


def wrong_type(name: str, value: object, wanted: str) -> str:
    """What is said of an argument of another type than it must have."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    shown = kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
    return f"{name} is {'None' if value is None else shown}: pass {wanted}"


class CurationError(Exception):
    """The root of every error that this package raises on purpose."""


class ConfigError(CurationError, ValueError):
    """An option, or a combination of options, must be changed."""


class MetadataError(CurationError, ValueError):
    """The metadata list, or counts made with another list, must be changed."""


class SchemaMismatchError(CurationError, ValueError):
    """A table lacks a column, or has it with another type."""


class InputError(CurationError, ValueError):
    """An input file is missing or cannot be read."""


class OutputExistsError(CurationError, ValueError):
    """The output holds another run, or another run holds the output."""


class TooManyRejectsError(CurationError):
    """More records or archives were lost than the user allows."""


class SuspectSampleError(CurationError):
    """The curated set's size lies outside the bound that chance allows."""


class TrainingDivergedError(CurationError):
    """A loss of the CLIP benchmark is no number any more."""
