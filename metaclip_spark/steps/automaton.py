"""The metadata automaton on the executors: one file, built on the driver, which the Python workers map into memory."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pyspark.sql import SparkSession

from metaclip_spark.entries import Metadata
from metaclip_spark.entries.files import file_digest
from metaclip_spark.entries.metadata import SPACES
from metaclip_spark.errors import ConfigError
from udfs.matching.borders import check_word_borders
from udfs.matching.entries import write_entries


@dataclass(frozen=True)
class AutomatonFile:
    """A metadata automaton that each executor has as a file."""

    engine: str
    """token or pyahocorasick."""

    file_name: str
    """Its name for `SparkFiles.get`."""

    metadata_digest: str
    """Digest of the metadata, which workers compare with the one in the file."""


_broadcast: dict[tuple[str, str, str], AutomatonFile] = {}
_shared: dict[tuple[str, str, int, int], str] = {}
_one_at_a_time = Lock()


def check_engine_has(word_borders: str, engine: str) -> None:
    """Refuses an engine without these word borders.

    Raises:
        ConfigError: If it does not have them.
    """
    try:
        check_word_borders(word_borders, engine)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def broadcast_automaton(spark: SparkSession, metadata: Metadata, engine: str = "token") -> AutomatonFile:
    """Sends the automaton of a metadata list to the executors, once per Spark application.

    It is a file of `SparkContext.addFile` and no broadcast variable: a variable would be unpickled, as a copy, in each
    Python worker, whereas all workers of an executor map one file.

    Args:
        spark: The session.
        metadata: The metadata list.
        engine: token (the driver builds the tables) or pyahocorasick (the file is the list, and each worker builds).
            Of several lists each has its part of the file.

    Returns:
        The file; the same one for the same list and engine, so that calling again costs nothing.

    Raises:
        ConfigError: If the engine does not have the word borders of the list.
    """
    check_engine_has(metadata.word_borders, engine)
    key = (str(spark.sparkContext.applicationId), engine, metadata.digest)
    with _one_at_a_time:
        if key not in _broadcast:
            path = _write_automaton(metadata, engine)
            spark.sparkContext.addFile(str(path))
            _broadcast[key] = AutomatonFile(engine, path.name, metadata.digest)
        return _broadcast[key]


def share_file(spark: SparkSession, path: str) -> str:
    """Sends a file of the driver to the executors, and gives its name for `SparkFiles.get`: by its content."""
    found = Path(path).stat()
    # Each bucket asks for it: a model of gigabytes is read once.
    key = (str(spark.sparkContext.applicationId), path, found.st_mtime_ns, found.st_size)
    with _one_at_a_time:
        if key not in _shared:
            name = f"shared-{file_digest(path)[:16]}"
            folder = Path(tempfile.mkdtemp(prefix="metaclip-spark-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            shutil.copyfile(path, folder / name)
            spark.sparkContext.addFile(str(folder / name))
            _shared[key] = name
        return _shared[key]


def _write_automaton(metadata: Metadata, engine: str) -> Path:
    """Writes an engine's file to a folder that lives as long as this process."""
    from udfs.matching.list_file import write_list_tables
    from udfs.matching.token_automaton import build_token_tables, write_token_tables

    folder = Path(tempfile.mkdtemp(prefix="metaclip-spark-"))
    # Executors fetch the file from the driver for as long as the session lives.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"metadata-{metadata.digest[:16]}.{engine}"
    if metadata.lists or metadata.word_borders != SPACES:
        lists, borders = entries_by_list(metadata), metadata.word_borders
        write_list_tables(lists, str(path), engine=engine, metadata_digest=metadata.digest, word_borders=borders)
    elif engine == "token":
        write_token_tables(build_token_tables(metadata.entries, metadata.digest), str(path))
    else:
        write_entries(metadata.entries, metadata.digest, str(path))
    return path


def entries_by_list(metadata: Metadata) -> Iterator[tuple[str, Sequence[str]]]:
    """Gives the code of each list and its entries; an empty code and all entries of a single list."""
    for each in metadata.parts:
        yield each.code, metadata.entries[each.first_id : each.first_id + each.size]
