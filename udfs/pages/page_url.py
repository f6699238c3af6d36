"""A page's own URL, and the URL that its links start from."""

from urllib.parse import urljoin

from udfs.arrow import replace_lone_surrogates


def clean_page_url(target_uri: str) -> str:
    """Removes white space and the angle brackets of GNU Wget from around a record's target URI; spaces inside stay."""
    uri = target_uri.strip()
    if uri.startswith("<") and uri.endswith(">"):
        uri = uri[1:-1].strip()
    return replace_lone_surrogates(uri)


def join_base(page_url: str, base_href: str | None) -> str:
    """Resolves the `href` of a page's `<base>`; the page's own URL where there is none or it cannot be parsed."""
    if base_href is None:
        return page_url
    try:
        return urljoin(page_url, base_href)
    except ValueError:
        return page_url
