"""Reads the names of WordNet's synsets from its data files."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from metaclip_spark.errors import ConfigError, InputError

DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
NAME_FORMS = ("published", "whole")
"""`published`: what follows a name's first dot is cut off, as in the published list. `whole`: it stays, so that the
name cannot match, since the matching sets dots apart."""

_VERSION = re.compile(r"WordNet (\d+\.\d+)")
_ADJECTIVE_MARKER = re.compile(r"\((?:a|p|ip)\)$")
_FIRST_LEMMA = 4


@dataclass(frozen=True)
class WordNet:
    """What WordNet gives to the metadata.

    Attributes:
        version: As its licence text says, such as `3.0`; `unknown` where it does not.
        synsets: Number of synsets; 117,659 in WordNet 3.0.
        names: The distinct names, sorted; 86,554 in WordNet 3.0 as published.
    """

    version: str
    synsets: int
    names: tuple[str, ...]


def read_wordnet(path: str, form: str = "published") -> WordNet:
    """Reads the first lemma of each synset, without adjective marker, in lower case, with spaces for underscores.

    With the numbers from 0 to 99 the names of WordNet 3.0 are the 86,654 entries of the paper's table 1.

    Args:
        path: A folder, at any depth, or a tar (plain or packed) with WordNet's `data.noun`, `data.verb`, `data.adj`
            and `data.adv`.
        form: One of `NAME_FORMS`.

    Returns:
        Version, number of synsets and names.

    Raises:
        ConfigError: If there are no such files.
        InputError: If a line of them is no synset; the message names it.
    """
    version, synsets, names = "unknown", 0, set()
    for file, content in _data_files(Path(path.removeprefix("file://"))):
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            if line.startswith("  "):
                found = _VERSION.search(line)
                version = found[1] if found else version
                continue
            fields = line.split(" ")
            if len(fields) <= _FIRST_LEMMA or not fields[0].isdigit():
                raise InputError(f"line {number} of {file} in {path} is no synset: fetch WordNet's data files again")
            synsets += 1
            names.add(synset_name(fields[_FIRST_LEMMA], form))
    return WordNet(version, synsets, tuple(sorted(names - {""})))


def synset_name(lemma: str, form: str) -> str:
    """Turns a lemma into an entry.

    Args:
        lemma: As it stands in the data files, such as `Washington_D.C.` or `galore(ip)`.
        form: One of `NAME_FORMS`.

    Returns:
        The entry; it may be empty.
    """
    name = _ADJECTIVE_MARKER.sub("", lemma).lower()
    return (name.partition(".")[0] if form == "published" else name).replace("_", " ")


def _data_files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        found = {name: sorted(path.rglob(name)) for name in DATA_FILES}
        contents = {name: files[0].read_bytes() for name, files in found.items() if files}
    elif path.is_file():
        contents = _files_of_tar(path)
    else:
        raise ConfigError(f"--wordnet {path} does not exist: give the folder that holds {', '.join(DATA_FILES)}")
    missing = [name for name in DATA_FILES if name not in contents]
    if missing:
        raise ConfigError(
            f"--wordnet {path} holds no {', '.join(missing)}: install Debian's wordnet-base (/usr/share/wordnet), or "
            "give the tar of WordNet's database files"
        )
    for name in DATA_FILES:
        yield name, contents[name]


def _files_of_tar(path: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(path) as archive:
            files = [member for member in archive.getmembers() if member.isfile()]
            members = {PurePosixPath(member.name).name: member for member in files}
            opened = ((name, archive.extractfile(members[name])) for name in DATA_FILES if name in members)
            return {name: member.read() for name, member in opened if member is not None}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConfigError(f"--wordnet {path} is neither a folder nor a readable tar: {error}") from None
