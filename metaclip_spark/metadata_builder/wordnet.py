"""Reads the names of WordNet's synsets from its data files."""

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.inputs.files import resolve_files
from metaclip_spark.metadata_builder.wordnet_files import DATA_FILES, lines_of
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive

_VERSION = re.compile(r"WordNet (\d+\.\d+)")
_ADJECTIVE_MARKER = re.compile(r"\((?:a|p|ip)\)$")
_FIRST_LEMMA = 4
_ADVICE = (
    "install Debian's wordnet-base (/usr/share/wordnet), or give the folder or tar that holds WordNet's "
    f"{', '.join(DATA_FILES)}"
)


@dataclass(frozen=True)
class WordNet:
    """What the metadata takes from WordNet.

    Attributes:
        version: As its licence text says, such as `3.0`; `unknown` where it does not.
        synsets: Number of synsets; 117,659 in WordNet 3.0.
        names: The distinct names, sorted; 86,554 in WordNet 3.0 as published.
    """

    version: str
    synsets: int
    names: tuple[str, ...]


def read_wordnet(path: str, form: str = "published", options: FetchOptions = DEFAULT_OPTIONS) -> WordNet:
    """Reads the first lemma of each synset, without adjective marker, in lower case, with spaces for underscores.

    With the numbers from 0 to 99 the names of WordNet 3.0 are the 86,654 entries of the paper's table 1.

    Args:
        path: A folder, at any depth, or a tar (plain or packed) with WordNet's `data.noun`, `data.verb`, `data.adj`
            and `data.adv`; local or a URL.
        form: published or whole.
        options: How remote stores are reached.

    Raises:
        ConfigError: If there are no such files.
        InputError: If a line of them is not a synset; the message names it.
    """
    version, synsets, names = "unknown", 0, set()
    for file, content in _data_files(path, options):
        for number, line in enumerate(lines_of(content.decode("utf-8", "replace")), start=1):
            if line.startswith("  "):
                found = _VERSION.search(line)
                version = found[1] if found else version
                continue
            fields = line.split(" ")
            if len(fields) <= _FIRST_LEMMA or not fields[0].isdigit():
                raise InputError(f"line {number} of {file} in {path} is not a synset: fetch WordNet's data files again")
            synsets += 1
            names.add(synset_name(fields[_FIRST_LEMMA], form))
    return WordNet(version, synsets, tuple(sorted(names - {""})))


def synset_name(lemma: str, form: str) -> str:
    """Turns a lemma of the data files, such as `Washington_D.C.` or `galore(ip)`, into an entry; it may be empty."""
    name = _ADJECTIVE_MARKER.sub("", lemma).lower()
    return (name.partition(".")[0] if form == "published" else name).replace("_", " ")


def _data_files(path: str, options: FetchOptions) -> Iterator[tuple[str, bytes]]:
    try:
        found = resolve_files([path], options, DATA_FILES)
    except InputError as error:
        raise ConfigError(f"--wordnet: {error}; {_ADVICE}") from None
    # Of several files of one name the first is taken.
    contents = {PurePosixPath(name).name: _content(location, options) for name, location in reversed(found)}
    if len(contents) == 1 and not contents.keys() & set(DATA_FILES):
        contents = _files_of_tar(path, *contents.values())
    missing = [name for name in DATA_FILES if name not in contents]
    if missing:
        raise ConfigError(f"--wordnet {path} holds no {', '.join(missing)}: {_ADVICE}")
    for name in DATA_FILES:
        yield name, contents[name]


def _content(path: str, options: FetchOptions) -> bytes:
    with open_archive(path, options) as stream:
        return stream.read()


def _files_of_tar(path: str, content: bytes) -> dict[str, bytes]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [member for member in archive.getmembers() if member.isfile()]
            members = {PurePosixPath(member.name).name: member for member in files}
            opened = ((name, archive.extractfile(members[name])) for name in DATA_FILES if name in members)
            return {name: member.read() for name, member in opened if member is not None}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConfigError(f"--wordnet {path} is neither a folder nor a readable tar: {error}") from None
