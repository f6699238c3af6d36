"""Registrable domains and public suffixes, by the list that tldextract brings."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import pyarrow as pa
from tldextract import TLDExtract

from udfs.exclusion.url_key import domain_key
from udfs.schemas import DOMAINS

_PORT = re.compile(r":\d*$")


@cache
def _extract() -> TLDExtract:
    """Gives what knows the list: nothing is fetched, and nothing is written to disk."""
    return TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True)


def is_public_suffix(domain: str) -> bool:
    """Tells whether anyone can register a name below a domain, in lower case and ASCII, such as co.uk or github.io."""
    return _extract().extract_str(domain).suffix == domain


@cache
def _suffixes() -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Gives the public suffixes in ASCII, and the domains of which each one right below may be a suffix."""
    rules = [rule.removeprefix("!") for rule in _extract().tlds]
    named = {domain_key(rule.removeprefix("*.")) or "" for rule in rules}
    above = {domain_key(rule.removeprefix("*.")) or "" for rule in rules if rule.startswith("*.")}
    return frozenset(map(str.encode, named)), frozenset(map(str.encode, above))


def may_be_public_suffix(domains: Sequence[bytes]) -> list[int]:
    """Finds domains, in lower case and ASCII, that a rule of the list names; each public suffix is among them.

    Args:
        domains: n domains.

    Returns:
        Their places, rising.
    """
    named, above = _suffixes()
    parents = [domain[domain.find(b".") + 1 :] for domain in domains]
    if named.isdisjoint(domains) and above.isdisjoint(parents):
        return []
    return [
        place
        for place, (domain, parent) in enumerate(zip(domains, parents, strict=True))
        if domain in named or parent in above
    ]


def registrable_domain(host: str) -> str:
    """Gives the registrable domain of a host, in ASCII: example.co.uk of www.example.co.uk, a.github.io of a.github.io.

    Args:
        host: The host of a URL in lower case, with or without a port.

    Returns:
        The public suffix and the label before it. A suffix that the list lacks is one label. The host itself where
        there is no registrable domain: an address, a single label, a public suffix.
    """
    name = _PORT.sub("", host)
    name = domain_key(name) or name
    labels = name.split(".")
    if len(labels) == 1 or name.startswith("[") or labels[-1].isdigit():
        return name
    found = _extract().extract_str(name)
    if found.suffix:
        return found.top_domain_under_public_suffix or name
    return ".".join(labels[-2:])


def domains_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Puts the registrable domain in the place of each host, in batches of `DOMAINS`."""
    for batch in batches:
        domains = [registrable_domain(host) for host in batch["domain"].to_pylist()]
        yield pa.RecordBatch.from_arrays([pa.array(domains, pa.string()), *batch.columns[1:]], schema=DOMAINS)
