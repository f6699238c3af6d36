"""A page's own URL, and the base of its links."""

from udfs.pages.page_url import clean_page_url, join_base


def test_page_urls_and_bases() -> None:
    assert clean_page_url(" <http://a/> ") == "http://a/"
    assert clean_page_url("http://a/\ud800") == "http://a/\ufffd"
    assert join_base("http://a/b", None) == "http://a/b"
