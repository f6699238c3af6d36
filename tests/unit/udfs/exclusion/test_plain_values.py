"""Values of lists that are plainly their own keys, against the keys that are made one by one."""

from random import Random

import pytest

from udfs.exclusion.digest_table import DIGEST_BYTES, short_digest
from udfs.exclusion.kinds import PLAIN_KINDS
from udfs.exclusion.plain_values import plain_values
from udfs.exclusion.registrable_domain import _extract, is_public_suffix, may_be_public_suffix
from udfs.exclusion.url_key import domain_key, url_key

PIECES = (
    "a", "example", "org", "xn--p1ai", "co.uk", ".", "..", "-", "_", "/", "//", "http://", "https://", ":80", ":8080",
    "?", "#", "%41", "%2F", "é", " ", "A", "\t", "0", "github.io", "[::1]", "@", "\x00", "~", "*", "," * 300,
)  # fmt: skip


def key_of(kind: str, value: str) -> str | None:
    """Gives the key of a value, None where it is no value of the kind."""
    if kind.endswith("domain"):
        return domain_key(value)
    key = url_key(value)
    return key.text if key.host_length and (kind != "prefix" or key.text.endswith("/")) else None


def values_of(kind: str, random: Random) -> list[str]:
    beginning = "" if kind.endswith("domain") else "https://example.org"
    made = ["".join(random.choices(PIECES, k=random.randrange(6))) for _ in range(300)]
    return [*made, *(beginning + value for value in made), "www.example.org", "https://example.org/a/", "example.com"]


@pytest.mark.parametrize("kind", PLAIN_KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_plain_values_have_the_digests_of_their_keys(kind: str, seed: int) -> None:
    values = [value.strip() for value in values_of(kind, Random(seed))]
    found = plain_values(kind, [value.encode() for value in values], allow_public_suffix=True)
    assert found.others == sorted(set(found.others))
    plain = [value for place, value in enumerate(values) if place not in set(found.others)]
    digests = [found.digests[at : at + DIGEST_BYTES] for at in range(0, len(found.digests), DIGEST_BYTES)]
    keys = [key_of(kind, value) for value in plain]
    assert None not in keys
    assert digests == [short_digest(key) for key in keys if key is not None]
    assert len(plain) > 5


@pytest.mark.parametrize("kind", PLAIN_KINDS)
@pytest.mark.parametrize("values", [[], [b""], [b"", b""]])
def test_nothing_is_not_plain(kind: str, values: list[bytes]) -> None:
    assert plain_values(kind, values, allow_public_suffix=False) == (b"", list(range(len(values))))


def test_no_public_suffix_is_overlooked() -> None:
    rules = [rule.removeprefix("!") for rule in _extract().tlds]
    names = {prefix + rule.removeprefix("*.") for rule in rules for prefix in ("", "any.", "any.other.")}
    domains = sorted(domain_key(name) or "" for name in names)
    found = {domains[place] for place in may_be_public_suffix([domain.encode() for domain in domains])}
    suffixes = set(filter(is_public_suffix, domains))
    assert suffixes <= found
    assert len(suffixes) > 5_000
    assert len(found) < 1.1 * len(suffixes)
    for domain in ("co.uk", "any.ck"):
        assert plain_values("image_domain", [domain.encode()], allow_public_suffix=False).others == [0]
        assert plain_values("image_domain", [domain.encode()], allow_public_suffix=True).others == []
