import hashlib

from udfs.arrow import replace_lone_surrogates
from udfs.pairs.rules import clean_text, pair_id


def test_clean_text_strips_and_puts_one_space_for_each_line_break():
    assert clean_text(" \n a\r\nb\u3000 ") == "a  b"
    assert clean_text("\ud83d x") == "\ufffd x"
    assert clean_text(" \n") == ""
    assert replace_lone_surrogates("😀") == "😀"


def test_pair_id_is_md5_of_url_nul_text():
    assert pair_id("https://example.org/a.jpg", "a dog") == "1dd62dcbd227f59fd29d1db590211c15"
    assert pair_id("https://example.org/b.png", "東京 tower") == "51e22e4c18be2f1e25738a09b810768b"
    assert pair_id("u", "t") == hashlib.md5(b"u\0t").hexdigest()
