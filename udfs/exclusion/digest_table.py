"""A set of digests as one sorted array, and several of them as one file, which all workers of a machine map."""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]

DIGEST_BYTES = 16
"""So much of a SHA-256 digest is kept: no two of 2 * 10^8 values are alike by chance, nor can anyone make two so."""

_MAGIC = b"block-lists\n"
_VERSION = 1
_ALIGNMENT = 64
_WORD_BITS = 64
_FEWER_BITS = 2
"""A part of the array that has the first bits of a digest in common has about 2^this digests."""


class _Header(msgspec.Struct, kw_only=True):
    """What a file says before its arrays; `lengths` are numbers of digests, by kind."""

    version: int = _VERSION
    digest: str
    lengths: dict[str, int]


@dataclass(frozen=True)
class DigestTable:
    """Distinct digests, sorted."""

    digests: Digests
    """uint64[2 n]: the first 16 bytes of each as two numbers, the first byte being the highest."""

    starts: npt.NDArray[np.uint32]
    """uint32[2^k + 1]: where those begin whose first k bits are a number."""

    @property
    def size(self) -> int:
        """The number of digests."""
        return self.digests.size // 2

    @property
    def shift(self) -> int:
        """How far the first number of a digest is shifted to the right to become its place in `starts`."""
        return _WORD_BITS + 1 - (self.starts.size - 1).bit_length()


def short_digest(key: str) -> bytes:
    """Gives the bytes by which a key is known."""
    return sha256(key.encode()).digest()[:DIGEST_BYTES]


def make_table(digests: bytes | bytearray) -> DigestTable:
    """Makes a table of digests that lie one behind the other, in any order, each any number of times."""
    pairs = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
    pairs = pairs[np.argsort(pairs[:, 0])]
    alike = pairs[1:, 0] == pairs[:-1, 0]
    # Two digests that have their first halves in common are one, unless someone has made them so.
    if (pairs[1:, 1] != pairs[:-1, 1])[alike].any():
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    if len(pairs):
        pairs = pairs[np.concatenate([[True], (pairs[1:] != pairs[:-1]).any(axis=1)])]
    return _with_starts(np.ascontiguousarray(pairs).reshape(-1))


def _with_starts(digests: Digests) -> DigestTable:
    bits = max(1, (digests.size // 2).bit_length() - _FEWER_BITS)
    firsts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(_WORD_BITS - bits)
    starts = np.append(np.searchsorted(digests[::2], firsts), digests.size // 2).astype(np.uint32)
    return DigestTable(digests, starts)


def content_digest(tables: Mapping[str, DigestTable]) -> str:
    """Gives a digest of what is listed, by kind: the order and the repetitions of the lists do not change it."""
    total = sha256()
    for kind in sorted(kind for kind, table in tables.items() if table.size):
        total.update(f"{kind} {tables[kind].size}\n".encode())
        total.update(_stored(tables[kind].digests).data)
    return total.hexdigest()


def _stored(digests: Digests) -> npt.NDArray[np.uint64]:
    return digests.astype("<u8", copy=False)


def write_tables(tables: Mapping[str, DigestTable], digest: str, path: str) -> None:
    """Writes tables as one flat file: a line that names the format, a header in JSON, and the arrays.

    Raises:
        OSError: If the file cannot be written.
    """
    header = _Header(digest=digest, lengths={kind: table.size for kind, table in tables.items()})
    part = Path(f"{path}.part")
    with part.open("wb") as file:
        file.write(_MAGIC + json.dumps(msgspec.to_builtins(header)).encode() + b"\n")
        for table in tables.values():
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            file.write(_stored(table.digests).data)
            file.write(table.starts.astype("<u4", copy=False).data)
    part.replace(path)


def open_tables(path: str, digest: str) -> dict[str, DigestTable]:
    """Maps a file of tables, read-only, so that the workers of one machine share its memory.

    Raises:
        ValueError: If the file holds something else, is cut short, or was made of other lists.
        OSError: If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"{path} is not a file of block lists; run the step again")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    position = content.find(b"\n", len(_MAGIC)) + 1
    header = msgspec.convert(json.loads(content[len(_MAGIC) : position]), _Header)
    if (header.version, header.digest) != (_VERSION, digest):
        raise ValueError(f"{path} holds the block lists {header.digest}, but this job works with {digest}")
    tables = {}
    for kind, length in header.lengths.items():
        position += -position % _ALIGNMENT
        starts_length = (1 << max(1, length.bit_length() - _FEWER_BITS)) + 1
        if position + DIGEST_BYTES * length + 4 * starts_length > len(content):
            raise ValueError(f"the block lists {path} are cut short within {kind}; run the step again")
        digests = np.frombuffer(content, "<u8", 2 * length, position)
        position += digests.nbytes
        tables[kind] = DigestTable(digests, np.frombuffer(content, "<u4", starts_length, position))
        position += 4 * starts_length
    return tables
