"""Digests of the values of a list that are plainly their own keys: most of them, many at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from udfs.exclusion.key_kernel import Bytes, Numbers, digest_keys, plain_keys
from udfs.exclusion.registrable_domain import may_be_public_suffix

_DOMAIN_KINDS = ("image_domain", "page_domain")
_SCHEME = b"https://"
_DOT, _SLASH = b"./"


class PlainValues(NamedTuple):
    """What is plain among n values.

    Attributes:
        digests: The digests of these values, `DIGEST_BYTES` each, one behind the other.
        others: The places of all other values, rising.
    """

    digests: bytes
    others: list[int]


def plain_values(kind: str, values: Sequence[bytes], *, allow_public_suffix: bool) -> PlainValues:
    """Digests the values that are plainly their own keys.

    Args:
        kind: One of `udfs.exclusion.kinds.PLAIN_KINDS`.
        values: n values without spaces around them.
        allow_public_suffix: Whether a public suffix is a plain domain; else each that may be one is not.

    Returns:
        The digests of their keys, and what must be looked at one by one: what is no value of this kind, too.
    """
    if kind in _DOMAIN_KINDS:
        data, offsets = _joined(values, before=_SCHEME, after=b"/")
        begins, ends, host_ends = plain_keys(data, offsets)
        # The slash behind it is no part of a domain.
        is_plain = (ends >= 0) & (host_ends == ends - 1) & ~_has_empty_label(data, offsets, begins)
        if not allow_public_suffix:
            is_plain[may_be_public_suffix(values)] = False
        ends = host_ends
    else:
        data, offsets = _joined(values)
        begins, ends, _ = plain_keys(data, offsets)
        is_plain = ends >= 0
        if kind == "prefix":
            is_plain[is_plain] = data[ends[is_plain] - 1] == _SLASH
    digests = digest_keys(data, begins[is_plain], ends[is_plain])
    return PlainValues(digests.astype(">u8").tobytes(), np.flatnonzero(~is_plain).tolist())


def _joined(values: Sequence[bytes], before: bytes = b"", after: bytes = b"") -> tuple[Bytes, Numbers]:
    """Puts n values one behind the other, each between two texts; gives n + 1 offsets, too."""
    lengths = np.fromiter(map(len, values), np.int64, len(values)) + len(before) + len(after)
    data = before + (after + before).join(values) + after if values else b""
    return np.frombuffer(data, np.uint8), np.append(np.int64(0), np.cumsum(lengths))


def _has_empty_label(data: Bytes, offsets: Numbers, begins: Numbers) -> npt.NDArray[np.bool_]:
    """Tells of n domains which begin with a dot or have two, one behind the other."""
    found: npt.NDArray[np.bool_] = data[begins] == _DOT
    twice = np.flatnonzero((data[:-1] == _DOT) & (data[1:] == _DOT))
    found[np.searchsorted(offsets, twice, "right") - 1] = True
    return found
