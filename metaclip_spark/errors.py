"""Errors, named by what the reader should do. Each message gives value, limit and next step."""


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
