"""Encodings of pages: compared with Chromium's TextDecoder where there is one, and by the Encoding Standard's text."""

import base64
import json
import random
import time
from collections.abc import Collection
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from webencodings.labels import LABELS

from tests.support.archive_files import Outcome, extract_bytes, http_response, warc_record
from tests.support.browser import CHROMIUM, text_of
from udfs.pages.charset import codec_of_label, page_to_utf8
from udfs.pages.legacy_encodings import to_utf8

HIGH = range(0x80, 0x100)
DOUBLE_BYTE = ["shift_jis", "euc-jp", "euc-kr", "big5", "gbk", "gb18030"]
SINGLE_BYTE = sorted({*LABELS.values()} - {*DOUBLE_BYTE, "iso-2022-jp", "utf-8", "utf-16le", "utf-16be", "replacement"})
BIG5_OF_TWO = {b"\x88\x62": "Ê̄", b"\x88\x64": "Ê̌", b"\x88\xa3": "ê̄", b"\x88\xa5": "ê̌"}
"""Chromium 156 decodes these to halves of surrogate pairs."""


def python(label: str, body: bytes) -> str:
    codec = codec_of_label(label)
    assert codec is not None
    return to_utf8(body, codec).decode()


def pieces(label: str) -> list[bytes]:
    """Byte sequences of an encoding: every byte, every pair, every longer form, and seeded noise.

    Each is decoded by itself, for Chromium 156 takes an unknown character of three bytes for the first of two more.
    """
    if label in SINGLE_BYTE:
        return [bytes(range(256))]
    noise = random.Random(label)
    if label.startswith("utf-16"):
        units = [b"a\0", b"\0a", b"\xd8\x01", b"\xdc\x02", b"\x01\xd8", b"\x02\xdc", b"\xff\xfe"]
        return [b"".join(noise.choices(units, k=40)) + b"a"[: number % 2] for number in range(200)]
    if label == "iso-2022-jp":
        return iso_2022_jp(noise)
    all_of_them = [lines(bytes([lead]), left_out=BIG5_OF_TWO) for lead in HIGH]
    all_of_them += [bytes(cut_off) for cut_off in product(HIGH, range(0x30, 0x40))]
    if label == "euc-jp":
        all_of_them += [lines(bytes([0x8F, lead])) for lead in HIGH]
    alphabet = [byte for byte in (*HIGH, *HIGH, *range(0x20, 0x80)) if byte not in {0x88, 0x8F} or label == "gb18030"]
    return all_of_them + [bytes(noise.choices(alphabet, k=60)) for _ in range(200)]


def lines(begin: bytes, end: bytes = b"\n", left_out: Collection[bytes] = (), lasts: int = 0x100) -> bytes:
    """All sequences of some bytes and one more, each followed by what no encoding takes for a part of a character."""
    sequences = (begin + bytes([last]) for last in range(lasts))
    return b"".join(sequence + end for sequence in sequences if sequence not in left_out)


def gb18030_of_four(lead: int) -> bytes:
    digits, thirds = range(0x30, 0x3A), range(0x81, 0xFF)
    return b"".join(bytes([lead, *rest]) for rest in product(digits, thirds, digits))


def iso_2022_jp(noise: random.Random) -> list[bytes]:
    """Chromium 156 loses an unknown character right behind a broken escape sequence; there is none here."""
    escapes = [b"\x1b(B", b"\x1b(J", b"\x1b(I", b"\x1b$@", b"\x1b$B"]
    pairs = [
        lines(escape + bytes([lead]), b"\x1b(B\n", left_out=[escape + b"\x1b(", escape + b"\x1b$"], lasts=0x82)
        for escape, lead in product(escapes[2:], range(0x82))
    ]
    parts = [*escapes, *(bytes([byte]) for byte in range(0x20, 0x82)), b"\x0e", b"\n"]
    return pairs + [b"".join(noise.choices(parts, k=60)) for _ in range(200)]


COMPARED = [*SINGLE_BYTE, *DOUBLE_BYTE, "iso-2022-jp", "utf-16le", "utf-16be"]
FOURS = [*range(0x81, 0x85), *range(0x90, 0xE4), 0xFE]
"""First bytes of gb18030's characters of four bytes, one without any among them."""

PAGE = """<!doctype html><meta charset=utf-8><pre></pre><script>
const inputs = %s, fours = %s, labels = %s, hashes = {}, names = {};
function hash(label, bytes) {
  const text = new TextDecoder(label, {ignoreBOM: true}).decode(bytes);
  let sum = 0;
  for (let place = 0; place < text.length; place++) sum = Math.imul(sum, 31) + text.charCodeAt(place) | 0;
  return sum >>> 0;
}
for (const [label, [body, lengths]] of Object.entries(inputs)) {
  const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
  let begin = 0;
  hashes[label] = lengths.map((length) => hash(label, bytes.subarray(begin, begin += length)));
}
hashes.fours = fours.map((lead) => {
  const bytes = new Uint8Array(4 * 12600);
  for (let place = 0; place < 12600; place++)
    bytes.set([lead, 0x30 + place / 1260, 0x81 + Math.floor(place / 10) %% 126, 0x30 + place %% 10], 4 * place);
  return hash("gb18030", bytes);
});
for (const label of labels) {
  try { names[label] = new TextDecoder(label).encoding; } catch { names[label] = "none"; }
}
document.querySelector("pre").textContent = JSON.stringify([hashes, names]);
</script>"""


def hashed(text: str) -> int:
    """The page's hash: a polynomial of the UTF-16 units."""
    units = np.frombuffer(text.encode("utf-16-le"), np.uint16).astype(np.uint32)
    powers = np.cumprod(np.full(len(units), 31, np.uint32), dtype=np.uint32)
    return int((units[-1:].sum() + (units[:-1] * powers[-2::-1]).sum(dtype=np.uint32)) & 0xFFFFFFFF)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """What Chromium makes of all pieces, by label, and the encoding that it knows each label for."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    folder: Path = tmp_path_factory.mktemp("chromium")
    inputs = {
        label: (base64.b64encode(b"".join(parts)).decode(), list(map(len, parts)))
        for label, parts in ((label, pieces(label)) for label in COMPARED)
    }
    page = folder / "decode.html"
    page.write_text(PAGE % (json.dumps(inputs), FOURS, json.dumps([*LABELS])))
    return json.loads(text_of(page, folder))


@pytest.mark.parametrize("label", COMPARED)
def test_every_encoding_is_decoded_as_chromium_decodes_it(label, chromium):
    ours = [(part, python(label, part)) for part in pieces(label)]
    different = [
        (part, text) for (part, text), theirs in zip(ours, chromium[0][label], strict=True) if hashed(text) != theirs
    ]
    assert not different, (len(different), different[0])


def test_every_character_of_gb18030s_four_bytes_is_decoded_as_chromium_decodes_it(chromium):
    ours = [hashed(python("gb18030", gb18030_of_four(lead))) for lead in FOURS]
    assert ours == chromium[0]["fours"]


def test_every_label_names_the_encoding_that_it_names_in_chromium(chromium):
    names = {label: "none" if name == "replacement" else name for label, name in LABELS.items()}
    assert names == chromium[1]


def test_there_are_228_labels_and_each_is_decoded():
    assert len(LABELS) == 228
    for label in LABELS:
        html, codec = page_to_utf8(b"<meta charset=" + label.encode() + b"><p>a")
        assert codec == codec_of_label(label) or codec in {"utf-8", "cp1252"}
        assert html.decode().endswith("a") or codec == "replacement"


@pytest.mark.parametrize(("pair", "text"), BIG5_OF_TWO.items())
def test_a_pair_of_big5_that_is_two_code_points(pair, text):
    assert python("big5", b"a" + pair + b"b") == f"a{text}b"


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("euc-jp", b"\xad\xa1 30\xad\xd1 \xad\xea\xb3\xf4", "① 30㎝ ㈱株"),
        ("euc-jp", b"\xf9\xa1\xfc\xfc \xa1\xa1\xa1\xc1\xa1\xdd", "纊￤ \u3000～－"),
        ("euc-jp", b"\x8f\xa2\xb7 \x8e\xb1 \x8f\xb0\xa1", "～ ｱ 丂"),
        ("iso-2022-jp", b"\x1b$B-!\x1b(B 30\x1b$B-Q\x1b(B", "① 30㎝"),
        ("iso-2022-jp", b"\x1b(J\\~\x1b(I1\x1b$@0!\x1b(B\\", "¥‾ｱ亜\\"),
        ("iso-2022-jp", b"a\x1b(B\x1b(Bb\x1b\x1b$\xffc", "a\ufffdb\ufffd\ufffd$\ufffdc"),
        ("iso-2022-jp", b"\x1b$B\x1b$\n12", "\ufffd\ufffd渦"),
        ("shift_jis", b"\x87\x40 \xed\x40 \xf0\x40 \x80\xa0\xfd", "① 纊 \ue000 \x80\ufffd\ufffd"),
        ("gbk", b"5 \x80 \xa3\xa0\xa8\xbc\xfe\x59\xa6\xd9", "5 € \u3000ḿ龴︐"),
        ("gb2312", b"\x94\x39\xda\x33\x81\x35\xf4\x37", "💩\ue7c7"),
        ("big5-hkscs", b"\x87\x7a\x87\xdf\x8e\x69\xa3\xc0\xa3\xe1\xa1\x45", "㡵鿋箸␀€‧"),
        ("korean", b"\xb0\xa1\x81\x41", "가갂"),
        ("latin1", b"\x80\x81\x8d\xe9", "€\x81\x8dé"),
        ("iso-8859-11", b"\x81\xa1\xdb", "\x81ก\ufffd"),
        ("koi8-ru", b"\xae\xbe", "ўЎ"),
        ("x-user-defined", b"a\x80\xff", "a\uf780\uf7ff"),
        ("iso-8859-8-i", b"\xf9\xec\xe5\xed", "שלום"),
        ("hz-gb-2312", b"a~{<:Ky", "\ufffd"),
        ("utf-16le", b"a\0\x01\xd8b\0c", "a\ufffdb\ufffd"),
    ],
)
def test_what_pythons_codecs_read_otherwise(label, body, text):
    assert python(label, body) == text
    page = page_to_utf8(body, f"text/html; charset={label}")[0]
    assert page.decode() == text or label.startswith("utf-16")


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("shift_jis", b'\x81" \x81A \x81', '\ufffd" 、 \ufffd'),
        ("euc-jp", b'\xa4" \x8e" \x8f\xa1" \x8f\xa1', '\ufffd" \ufffd" \ufffd" \ufffd'),
        ("gb18030", b'\x81" \x810" \x810\x81" \x810\x81', '\ufffd" \ufffd0" \ufffd0\ufffd" \ufffd'),
        ("big5", b'\xa4" \xfe\x7f \x81A', '\ufffd" \ufffd\x7f \ufffdA'),
        ("euc-kr", b'\xb0" \xc9A', '\ufffd" \ufffdA'),
    ],
)
def test_ascii_behind_a_broken_character_is_kept(label, body, text):
    assert python(label, body) == text


LATE = b"<title>a</title>" + b"<style>.a{color:red}</style>" * 50
POLISH = "Żółty pies, łąka"
IN_LATIN_2 = POLISH.encode("iso-8859-2")


def polish(head: bytes, content_type: str = "text/html", payload_type: str = "") -> bool:
    html, _ = page_to_utf8(head + b"<p>" + IN_LATIN_2, content_type, payload_type)
    return POLISH.encode() in html


@pytest.mark.parametrize(
    "declaration",
    [
        b'<?xml version="1.0" encoding="iso-8859-2"?>',
        b"<?xml version='1.0' encoding = 'latin2' standalone='no'?><html><head><meta name=a content=b>",
        b'<?xml encoding="iso-8859-2">',
    ],
)
def test_an_xml_declaration_counts_where_no_meta_is(declaration):
    assert polish(declaration)
    assert not polish(declaration + b"<meta charset=koi8-r>")
    assert not polish(declaration + LATE + b"<meta charset=koi8-r>")
    assert not polish(declaration, content_type="text/html; charset=koi8-r")
    assert not polish(b" " + declaration + b"<meta name=a>")


@pytest.mark.parametrize(
    "declaration",
    [
        b'<?xml version="1.0"?><a encoding="koi8-r">',
        b'<?xml encoding="no such label"?>',
        b'<?xml encoding="koi8-r?>',
        b"<?xml encoding=koi8-r?>",
        b'<?xml encoding="koi8-r ',
    ],
)
def test_a_broken_xml_declaration_says_nothing(declaration):
    assert page_to_utf8(declaration + b"<p>a dog " + "собака".encode() * 3)[1] == "utf-8"


def test_an_xml_declaration_of_utf_16_that_can_be_read_means_utf_8():
    assert page_to_utf8('<?xml version="1.0" encoding="utf-16"?><p>собака'.encode())[1] == "utf-8"


IN_MARKUP = [
    b"<meta charset=iso-8859-2>",
    b"<META CONTENT='text/html; charset=\"latin2\"' HTTP-EQUIV=Content-Type />",
    b"<meta name=charset content=charset><meta/charset='latin2'/>",
    b"<!--><meta charset=latin2>-->",
    b"<!-- <meta charset=koi8-r> --!><meta charset=latin2>",
    b"<script>'</scripts>' <meta charset=koi8-r></SCRIPT ><meta charset=latin2>",
    b"<body title='>'><p =\"x>\"<meta charset=no-such><meta charset=latin2>",
]
IN_TEXT = [
    b"<!-- <meta charset=iso-8859-2> -->",
    b"<script>document.write('<meta charset=iso-8859-2>')</script>",
    b"<style><meta charset=iso-8859-2></style>",
    b"<textarea><meta charset=iso-8859-2></textarea>",
    b"<title><meta charset=iso-8859-2></title>",
    b"<p title='<meta charset=iso-8859-2>'>",
    b"<!doctype <meta charset=iso-8859-2>",
    b"<p <meta charset=iso-8859-2>",
    b"&lt;meta charset=iso-8859-2>",
    b"<metal charset=iso-8859-2>",
    b"<meta content='text/html; charset=iso-8859-2'>",
    b"<meta http-equiv=content-type content='text/html; charset=iso-8859-2,koi8-r'>",
    b"<meta http-equiv=' content-type' content='text/html; charset=iso-8859-2'>",
    b"<meta charset=iso-8859-2",
    b"<plaintext><meta charset=iso-8859-2>",
    b"<meta data-charset=iso-8859-2>",
    b"<script><meta charset=iso-8859-2>",
]


@pytest.mark.parametrize("markup", IN_MARKUP)
@pytest.mark.parametrize("before", [b"", LATE], ids=["early", "late"])
def test_a_meta_in_markup_counts_wherever_it_stands(before, markup):
    assert polish(before + markup)
    assert not polish(before + markup, content_type="text/html; charset=koi8-r")


@pytest.mark.parametrize("text", IN_TEXT)
@pytest.mark.parametrize("before", [b"", LATE], ids=["early", "late"])
def test_what_only_looks_like_a_meta_says_nothing(before, text):
    assert not polish(before + text)


def test_a_meta_that_the_first_bytes_cut_in_two_counts():
    for length in range(1000, 1030):
        assert polish(b"<p>" + b"a" * length + b"<meta charset=iso-8859-2>")


def test_a_late_meta_loses_against_an_early_one():
    assert not polish(b"<meta charset=koi8-r>" + LATE + b"<meta charset=iso-8859-2>")


@pytest.mark.parametrize(
    ("content_type", "payload_type", "counts"),
    [
        ("text/html", 'text/html; charset="ISO-8859-2"', True),
        ("text/html; charset=none", "text/html;charset=latin2", True),
        (None, "text/html; charset=iso-8859-2", True),
        ("text/html; charset=koi8-r", "text/html; charset=iso-8859-2", False),
        ("text/html", "text/html", False),
    ],
)
def test_the_charset_of_the_identified_payload_type(content_type, payload_type, counts):
    body = b"<meta charset=koi8-r><img src=a.jpg alt='" + IN_LATIN_2 + b"'>"
    extra = b"WARC-Identified-Payload-Type: " + payload_type.encode()
    outcome = extract_bytes(warc_record(http_response(body, content_type=content_type), extra=extra))
    assert (outcome.texts == [POLISH]) is counts


SIZE = 1 << 16
REPEATED_BYTES = [
    b"\x1b$B",
    b"\x1b",
    b"\x1b(",
    b"\x8f\xa1",
    b"\x81",
    b"\x810",
    b"\x810\x81",
    b"\xff",
    b"\xa4\xa2",
    b"<\xe9",
]
REPEATED = [
    *(b" ", b"<", b"<!", b"<!--", b"<!-->", b"--", b"<meta ", b"<meta charset", b"<meta charset ", b"<meta charset="),
    *(b"<meta a='", b'<meta a="', b"<meta a=' b=\"", b"<a b=", b"<a b='", b"<a b=\"c'", b"<a =", b"<a / = ", b"</a "),
    *(b"encoding", b"encoding=", b"encoding =' ", b"charset", b"charset=", b"charset =", b"charset='\"", b"charset\t "),
    *(b"<script>", b"<style", b"</style ", b"<title><title a=", b"<textarea>charset</textarea>", b"<script></style>"),
    *(b"a=b ", b"a='b'", b"/", b"=", b"!", b"<?xml "),
]
BEFORE = [
    b"",
    b"<meta ",
    b"<meta charset=",
    b"<meta http-equiv=content-type content='charset",
    b"<?xml ",
    LATE + b"<meta content=' charset ",
]


@pytest.mark.parametrize("before", BEFORE)
def test_work_grows_with_the_bytes_for_any_repetition(before):
    for repeated in REPEATED + REPEATED_BYTES:
        body = before + repeated * (SIZE // len(repeated))
        began = time.process_time()
        page_to_utf8(body + b" charset")
        assert time.process_time() - began < 2, repeated


@pytest.mark.parametrize("label", [*DOUBLE_BYTE, "iso-2022-jp"])
def test_work_of_decoders_grows_with_the_bytes(label):
    for repeated in REPEATED_BYTES:
        began = time.process_time()
        python(label, repeated * (SIZE // len(repeated)) + b"\xff")
        assert time.process_time() - began < 2, repeated


@pytest.mark.parametrize(
    "repeated", [" ", "charset", "charset ", "charset=", "charset= ", "charset='", "charset=\"' ", "="]
)
def test_work_for_headers_grows_with_their_characters(repeated):
    header = "text/html; charset=" + repeated * (SIZE // len(repeated))
    began = time.process_time()
    page_to_utf8(b"a", header, header)
    assert time.process_time() - began < 2


def extract(block: bytes, uri: str | bytes | None = "http://example.org/page", **record: object) -> Outcome:
    return extract_bytes(warc_record(block, uri, **record))  # type: ignore[arg-type]


TEXTS = {
    "cp1251": "Рыжая собака на траве",
    "koi8-r": "Рыжая собака на траве",
    "gbk": "一只狗在草地上跑步",
    "gb18030": "一只狗在草地上跑步",
    "big5": "一隻狗在草地上跑步",
    "shift_jis": "芝生の上を走る犬",
    "euc-jp": "芝生の上を走る犬",
    "euc-kr": "잔디밭을 달리는 개",
    "iso-8859-1": "un chien à l’été".replace("’", "'"),
    "windows-1252": "un chien – à l’été",
    "iso-8859-2": "pies biegnący po łące",
    "utf-8": "ein Hund auf der Wiese – 犬",
    "utf-16-le": "собака 犬",
    "utf-16-be": "собака 犬",
}


def page_in(charset: str, *, meta: bool = False) -> bytes:
    declared = f'<meta charset="{charset}">' if meta else ""
    return f'<html><head>{declared}</head><body><img src="/a.jpg" alt="{TEXTS[charset]}"></body>'.encode(charset)


@pytest.mark.parametrize("charset", TEXTS)
def test_charset_of_the_http_header(charset: str) -> None:
    outcome = extract(http_response(page_in(charset), content_type=f'text/html; charset="{charset}"'))
    assert outcome.texts == [TEXTS[charset]]


@pytest.mark.parametrize("charset", [name for name in TEXTS if not name.startswith("utf-16")])
def test_charset_of_the_meta_tag(charset: str) -> None:
    assert extract(http_response(page_in(charset, meta=True))).texts == [TEXTS[charset]]
    old_form = b'<META content="text/html; charset=%s" HTTP-EQUIV=content-type>' % charset.encode()
    assert extract(http_response(old_form + page_in(charset))).texts == [TEXTS[charset]]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_byte_order_mark_wins(codec: str) -> None:
    body = '<img src="/a.jpg" alt="собака 犬">'.encode(codec)
    assert extract(http_response(body, content_type="text/html; charset=koi8-r")).texts == ["собака 犬"]


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_any_label(charset: str) -> None:
    assert extract(http_response(page_in(charset))).texts == [TEXTS[charset]]
    assert extract(http_response(page_in(charset), content_type=None)).texts == [TEXTS[charset]]


UNDECLARED = {
    "cp1250": "Rudy pies biegnie po łące, a za nim mały chłopiec. Zażółć gęślą jaźń. Piękne zdjęcie, jeździł koń.",
    "cp1251": "Рыжая собака бежит по зелёной траве, а за ней маленький мальчик.",
    "koi8-r": "Рыжая собака бежит по зелёной траве, а за ней маленький мальчик.",
    "cp1252": "El niño corre detrás del perro. La fenêtre est très ancienne, à l’été. Der Hund läuft über die Straße.",
    "cp1253": "Ο σκύλος τρέχει στο πράσινο γρασίδι και πίσω του ένα μικρό αγόρι.",
    "cp1256": "الكلب يركض على العشب الأخضر وخلفه ولد صغير.",
    "cp874": "สุนัขวิ่งบนหญ้าสีเขียวและเด็กชายตัวเล็กวิ่งตาม",
    "gb18030": "一只棕色的狗在绿色的草地上跑步，后面跟着一个小男孩，他们都很高兴。",
    "big5": "一隻棕色的狗在綠色的草地上跑步，後面跟著一個小男孩，他們都很高興。",
    "shift_jis": "芝生の上を走る茶色の犬と、その後ろを走る小さな男の子。",
    "euc-jp": "芝生の上を走る茶色の犬と、その後ろを走る小さな男の子。",
    "cp949": "잔디밭을 달리는 갈색 개와 그 뒤를 따라 달리는 작은 소년.",
    "utf-8": "Рыжая собака, 一只狗 und ein Hund.",
}


@pytest.mark.parametrize("repeats", [4, 2000])
@pytest.mark.parametrize("charset", UNDECLARED)
def test_detected_charsets(charset: str, repeats: int) -> None:
    text = UNDECLARED[charset]
    body = f'<html><body><p>{text * repeats}</p><img src=/a.jpg alt="{text}">'.encode(charset)
    assert extract(http_response(body)).texts == [text]


def test_contradicting_charsets() -> None:
    """The header wins over the meta tag, a meta tag's UTF-16 means UTF-8, and unknown labels do not count."""
    body = '<meta charset="utf-8"><img src=/a.jpg alt="собака">'
    assert extract(http_response(body.encode("cp1251"), content_type="text/html;charset=cp1251")).texts == ["собака"]
    utf_16 = '<meta charset="utf-16"><img src=/a.jpg alt="собака">'.encode()
    assert extract(http_response(utf_16)).texts == ["собака"]
    assert extract(http_response(body.encode(), content_type="text/html; charset=utf-16")).texts == ["собака"]
    assert extract(http_response(body.encode(), content_type="text/html; charset=base64")).texts == ["собака"]
    commented = '<!-- <meta charset="koi8-r"> --><meta charset=utf-8><img src=/a.jpg alt="собака">'.encode()
    assert extract(http_response(commented)).texts == ["собака"]


def test_invalid_bytes_become_replacement_characters() -> None:
    body = b'<img src=/a.jpg alt="a \xff dog">'
    assert extract(http_response(body, content_type="text/html; charset=utf-8")).texts == ["a \ufffd dog"]


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("latin1", "cp1252"),
        ("ISO-8859-1", "cp1252"),
        ("us-ascii", "cp1252"),
        ("ISO-8859-9", "cp1254"),
        ("gb2312", "gb18030"),
        ("x-sjis", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("tis-620", "cp874"),
        (" UTF8 ", "utf-8"),
        ("utf-7", None),
        ("rot13", None),
        ("idna", None),
        ("unicode_escape", None),
        ("no such label", None),
        ("\0", None),
    ],
)
def test_labels_mean_what_the_html_standard_says(label: str, codec: str | None) -> None:
    assert codec_of_label(label) == codec


def test_the_codec_is_told() -> None:
    assert page_to_utf8("é".encode("cp1252"), "text/html; charset=latin1") == ("é".encode(), "cp1252")
    assert page_to_utf8(b"\xef\xbb\xbfa", "") == (b"a", "utf-8")
