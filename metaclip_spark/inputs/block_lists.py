"""Block lists that a user names, as tables of digests."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from metaclip_spark.errors import InputError, brief, counted, said_of
from metaclip_spark.inputs.files import resolve_files
from metaclip_spark.inputs.list_files import HASH_PREFIX, Listed, read_listed
from udfs.arrow import replace_lone_surrogates
from udfs.exclusion.digest_table import DIGEST_BYTES, DigestTable, content_digest, make_table, short_digest
from udfs.exclusion.kinds import KINDS, PLAIN_KINDS
from udfs.exclusion.registrable_domain import is_public_suffix
from udfs.exclusion.url_key import domain_key, url_key
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, environment_options
from udfs.sources.credentials import without_credentials

MOST_VALUES = 2 * 10**8
"""Values of one list: so many are 3.2 GB in memory."""

MOST_KEPT_VALUES = 10**7
"""Values of one list that are kept: so many are some 2 GB of the driver's memory while they are read."""

SHOWN_VALUES = 5

DOMAIN_KINDS = ("image_domain", "page_domain")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEXADECIMAL = re.compile("[0-9a-f]+")
_PAIR_DIGITS, _SHA256_DIGITS = 32, 64
IMAGE_DIGITS = {"md5": 32, "sha256": _SHA256_DIGITS, "sha512": 128}
"""Digits of images' hashes, by the names that img2dataset has for them."""

_NO_VALUE = {
    "url": "is no URL with http or https and a host",
    "page": "is no URL with http or https and a host",
    "prefix": "is no URL with http or https and a host that ends with a slash",
    "image_domain": "is no domain",
    "page_domain": "is no domain",
    "text": "is empty",
}
"""By kind, what is wrong with a value that has no key."""

_OTHER_KIND = "give hashes of that kind, or have img2dataset write those of the list (--compute_hash)"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlockList:
    """A list that was read."""

    kind: str
    """One of `udfs.exclusion.kinds.KINDS`."""

    table: DigestTable
    """What is listed, each value once."""

    unusable: int = 0
    """Values that were left out, since they can be no value of this kind."""


@dataclass(frozen=True)
class Values:
    """A list whose values are kept.

    Attributes:
        kind: One of `udfs.exclusion.kinds.KINDS`.
        keys: The SHA-256 of each value's key to the key, or to None where it is not to be kept or only the hash was
            given; sorted.
        digits: Of hashes of images, how many digits they have.
    """

    kind: str
    keys: dict[bytes, str | None]
    digits: frozenset[int] = frozenset()


@dataclass
class _Reading:
    """What was read of a list so far."""

    kind: str
    allow_public_suffix: bool
    image_hash: str | None = None
    most: int | None = None
    digests: bytearray = field(default_factory=bytearray)
    unusable: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def usable(self) -> int:
        """Values with a key."""
        return len(self.digests) // DIGEST_BYTES

    def take_key(self, key: str) -> None:
        """Takes a value by its key."""
        self.digests += short_digest(key)

    def take_hash(self, digits: str) -> None:
        """Takes a value by the SHA-256 of its key."""
        self.digests += bytes.fromhex(digits)[:DIGEST_BYTES]


@dataclass
class _KeptReading(_Reading):
    """A list whose values are kept: the hash of each key to the key where that is wanted."""

    legible: bool = False
    kept: dict[bytes, str | None] = field(default_factory=dict)
    digits: set[int] = field(default_factory=set)

    @property
    def usable(self) -> int:
        """Values with a key."""
        return len(self.kept)

    def take_key(self, key: str) -> None:
        """Takes a value by its key."""
        self.kept[sha256(key.encode()).digest()] = key if self.legible else None
        if self.kind == "image":
            self.digits.add(len(key))

    def take_hash(self, digits: str) -> None:
        """Takes a value by the SHA-256 of its key."""
        self.kept.setdefault(bytes.fromhex(digits), None)


def read_block_list(
    option: str,
    kind: str,
    named: Sequence[str],
    *,
    options: FetchOptions = DEFAULT_OPTIONS,
    allow_public_suffix: bool = False,
    image_hash: str | None = None,
) -> BlockList:
    """Reads a block list. What is strange in it is told by a warning.

    Args:
        option: The option that names it, for messages.
        kind: One of `udfs.exclusion.kinds.KINDS`.
        named: Files, globs, folders or URLs.
        options: How remote stores are reached.
        allow_public_suffix: Whether a domain may be one like co.uk, below which anyone can register a name.
        image_hash: The hash that images are known by, as img2dataset names it; None for any.

    Raises:
        InputError: If a file is missing or damaged; if a hash has the wrong length, a row other columns or a domain is
            a public suffix; if more than half of the values cannot be used, or there are more than `MOST_VALUES`.
    """
    reading = _Reading(kind, allow_public_suffix, image_hash)
    _read(reading, option, named, options)
    return BlockList(kind, make_table(reading.digests), reading.unusable)


def read_values(
    option: str,
    kind: str,
    named: Sequence[str],
    *,
    options: FetchOptions = DEFAULT_OPTIONS,
    allow_public_suffix: bool = False,
    legible: bool = False,
) -> Values:
    """Reads a list as `read_block_list` does, and keeps its values: their hashes, and the keys where `legible`.

    Raises:
        InputError: As `read_block_list` does, and if there are more than `MOST_KEPT_VALUES` or none.
    """
    reading = _KeptReading(kind, allow_public_suffix, most=MOST_KEPT_VALUES, legible=legible)
    _read(reading, option, named, options)
    if not reading.kept:
        raise InputError(
            f"{option} {', '.join(map(without_credentials, named))} lists nothing: give at least one value"
        )
    return Values(kind, dict(sorted(reading.kept.items())), frozenset(reading.digits))


def _read(reading: _Reading, option: str, named: Sequence[str], options: FetchOptions) -> None:
    with said_of(option):
        # Files of one name in several folders are several files: a list has no names in the results.
        paths = list(dict.fromkeys(path for item in named for _, path in resolve_files([item], options)))
        # What keeps its values looks at each.
        take = (
            partial(_take_plain, reading)
            if reading.kind in PLAIN_KINDS and not isinstance(reading, _KeptReading)
            else None
        )
        for path in paths:
            shown = without_credentials(path)
            for listed in read_listed(path, options, is_domains=reading.kind in DOMAIN_KINDS, take=take):
                _add(reading, listed, shown)
        _check(reading, ", ".join(without_credentials(item) for item in named), option)


def paths_of(lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Lists all files of lists that are named, by kind."""
    options = environment_options()
    return [path for named in lists.values() for _, path in resolve_files(list(named), options)]


def tables_of(lists: Sequence[BlockList]) -> dict[str, DigestTable]:
    """Gives the tables of lists by kind, in the order of `KINDS`; of lists of one kind, one table of all values."""
    tables: dict[str, DigestTable] = {}
    for kind in KINDS:
        of_kind = [each.table for each in lists if each.kind == kind]
        if len(of_kind) == 1:
            tables[kind] = of_kind[0]
        elif of_kind:
            tables[kind] = make_table(b"".join(table.digests.astype(">u8").tobytes() for table in of_kind))
    return tables


def digest_of(tables: Mapping[str, DigestTable]) -> str:
    """Gives a digest of what is listed, whatever files it stood in and in whatever order."""
    return content_digest(tables)


def _take_plain(reading: _Reading, values: list[bytes]) -> Sequence[int]:
    """Adds what can be added without a look at each value; gives the places of the others."""
    if reading.usable + len(values) > MOST_VALUES:
        return range(len(values))
    from udfs.exclusion.plain_values import plain_values

    found = plain_values(reading.kind, values, allow_public_suffix=reading.allow_public_suffix)
    reading.digests += found.digests
    return found.others


def _add(reading: _Reading, listed: Listed, shown: str) -> None:
    """Adds a value to what was read.

    Raises:
        InputError: If it must be corrected.
    """
    where = f"{shown}, line {listed.line:,}"
    most = reading.most or MOST_VALUES
    if reading.usable == most:
        raise InputError(f"{where}: more than {most:,} values: the greatest list has so many; shorten it")
    problem = listed.problem
    if not problem and reading.kind != "image" and listed.value.startswith(HASH_PREFIX):
        reading.take_hash(_checked_hash(listed.value.removeprefix(HASH_PREFIX), (_SHA256_DIGITS,), where))
        return
    if not problem and reading.kind != "text" and _CONTROL.search(listed.value):
        problem = "holds a control character"
    if not problem:
        key = _key(reading, listed.value, where)
        if key is not None:
            reading.take_key(key)
            return
        problem = _NO_VALUE.get(reading.kind) or f"is no {_of_kind(reading.image_hash)}, as --downloaded tells"
    reading.unusable += 1
    if len(reading.examples) < SHOWN_VALUES:
        reading.examples.append(f"line {listed.line:,} of {shown} {problem}: {brief(listed.value)}")


def _key(reading: _Reading, value: str, where: str) -> str | None:
    """Gives the key of a value; None where it has none.

    Raises:
        InputError: If it is a hash of the wrong length, or a public suffix.
    """
    if reading.kind == "pair":
        return _checked_hash(value, (_PAIR_DIGITS,), where)
    if reading.kind == "image":
        return _image_key(value, reading.image_hash, where)
    if reading.kind in DOMAIN_KINDS:
        domain = domain_key(value)
        if domain is not None and not reading.allow_public_suffix:
            _check_suffix(domain, where)
        return domain
    if reading.kind == "text":
        return replace_lone_surrogates(value) or None
    key = url_key(value)
    is_usable = key.host_length and (reading.kind != "prefix" or key.text.endswith("/"))
    return key.text if is_usable else None


def _image_key(value: str, image_hash: str | None, where: str) -> str | None:
    """Gives the hash of an image; None where it is of another kind than the one that images are known by.

    A hash says nothing of the image, so there is no hash of it: `HASH_PREFIX` names its kind.

    Raises:
        InputError: If it is none, or of the wrong length.
    """
    lengths = (_SHA256_DIGITS,) if value.startswith(HASH_PREFIX) else tuple(IMAGE_DIGITS.values())
    digits = _checked_hash(value.removeprefix(HASH_PREFIX), lengths, where)
    return digits if image_hash is None or len(digits) == IMAGE_DIGITS[image_hash] else None


def _of_kind(image_hash: str | None) -> str:
    return "hash" if image_hash is None else f"{image_hash} of {IMAGE_DIGITS[image_hash]} digits"


def _check_suffix(domain: str, where: str) -> None:
    if is_public_suffix(domain):
        raise InputError(
            f"{where}: {domain} is a public suffix, below which anyone can register a name: name the domains that are "
            "meant, or add --allow-public-suffix"
        )


def _checked_hash(text: str, lengths: tuple[int, ...], where: str) -> str:
    """Gives a hash in lower case.

    Raises:
        InputError: If it is none, or has another length.
    """
    digits = text.strip().lower()
    if len(digits) not in lengths or not _HEXADECIMAL.fullmatch(digits):
        wanted = " or ".join(map(str, lengths))
        raise InputError(f"{where}: {brief(text)} is no hash of {wanted} hexadecimal digits: correct the line")
    return digits


def _check(reading: _Reading, shown: str, option: str) -> None:
    """Tells what is strange in a list.

    Raises:
        InputError: If more than half of its values cannot be used.
    """
    total = reading.usable + reading.unusable
    advice = (_OTHER_KIND,) if reading.kind == "image" and reading.unusable else ()
    examples = "; ".join((*reading.examples, *advice))
    if not total:
        log.warning(f"{option} {shown} is empty: it excludes nothing")
    elif not reading.usable:
        raise InputError(f"{shown}: none of {counted(total, 'value')} can be used: {examples}")
    elif reading.unusable > reading.usable:
        raise InputError(
            f"{shown}: {reading.unusable:,} of {counted(total, 'value')}, more than half, cannot be used: {examples}"
        )
    elif reading.unusable:
        log.warning(
            f"{option} {shown}: {reading.unusable:,} of {counted(total, 'value')} cannot be used, and are left out: "
            f"{examples}"
        )
