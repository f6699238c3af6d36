"""A page's own URL, and the URL that its links start from."""

from urllib.parse import urljoin

from udfs.arrow import replace_lone_surrogates


def clean_page_url(target_uri: str) -> str:
    """Removes what writers put around a record's target URI.

    Args:
        target_uri: The header's value; GNU Wget writes it as `<uri>`.

    Returns:
        The URI without white space at its ends and without one pair of angle brackets. Spaces inside stay.
    """
    uri = target_uri.strip()
    if uri.startswith("<") and uri.endswith(">"):
        uri = uri[1:-1].strip()
    return replace_lone_surrogates(uri)


def join_base(page_url: str, base_href: str | None) -> str:
    """Finds the URL that a page's links start from.

    Args:
        page_url: The page's own URL.
        base_href: The `href` of its `<base>`, or None where there is none.

    Returns:
        The base resolved against the page; the page's URL where there is no base or it cannot be parsed.
    """
    if base_href is None:
        return page_url
    try:
        return urljoin(page_url, base_href)
    except ValueError:
        return page_url
