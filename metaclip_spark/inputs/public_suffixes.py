"""Public suffixes such as co.uk and github.io, below which anyone can register a name."""

from functools import cache

from tldextract import TLDExtract


@cache
def _extract() -> TLDExtract:
    """Gives what knows the list that the package brings: nothing is fetched, and nothing is written to disk."""
    return TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True)


def is_public_suffix(domain: str) -> bool:
    """Tells whether a domain, in lower case and ASCII, is a public suffix."""
    found = _extract().extract_str(domain)
    return found.suffix == domain
