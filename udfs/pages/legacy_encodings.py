"""Decodes legacy encodings as the Encoding Standard of browsers does; Python's codecs know other sets of characters.

Python's codecs read what both read alike. The tables below are from the Standard's indexes, which are in the public
domain (CC0 1.0, https://encoding.spec.whatwg.org/#indexes).
"""

import codecs
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product

_UNKNOWN = "\ufffd"
_MOST_CACHED = 1 << 15
_NOT_LIKE_ASCII = {"utf-16-le", "utf-16-be", "iso2022_jp", "replacement"}
"""Encodings that do not read each byte below 128 as ASCII does."""

_CHARACTERS = {
    "cp932": rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xff]?|[\x80-\xff]",
    "cp949": rb"[\x81-\xfe][\x40-\x7e\x80-\xff]?|[\x80-\xff]",
    "big5hkscs": rb"[\x81-\xfe][\x40-\x7e\x80-\xff]?|[\x80-\xff]",
    "euc_jp": rb"\x8f[\xa1-\xfe][\x80-\xff]?|[\x8e\x8f\xa1-\xfe][\x80-\xff]?|[\x80-\xff]",
    "gb18030": rb"[\x81-\xfe](?:[0-9][\x81-\xfe][0-9]|[\x40-\x7e\x80-\xff]|[0-9][\x81-\xfe]?\Z)?|[\x80-\xff]",
}
"""What the Standard's decoders take for one character, known or not, of those that are not ASCII."""

_GB18030: dict[bytes, str] = {
    b"\x80": "€",
    b"\xa3\xa0": "\u3000",
    b"\xa8\xbc": "ḿ",
    b"\x81\x35\xf4\x37": "\ue7c7",
    **{bytes([0xA6, cell]): char for cell, char in zip(range(0xD9, 0xE0), "︐︒︑︓︔︕︖", strict=True)},
    **{bytes([0xA6, cell]): char for cell, char in zip(b"\xec\xed\xf3", "︗︘︙", strict=True)},
    **{
        bytes([0xFE, cell]): char
        for cell, char in zip(b"\x59\x61\x66\x67\x6d\x7e\x90\xa0", "龴龵龶龷龸龹龺龻", strict=True)
    },
}
"""The edition of 2022 has characters where the codec has places for private use."""

_BIG5_CELLS = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
_BIG5_CONTROLS = "".join(map(chr, [*range(0x2400, 0x2420), 0x2421]))
"""Pictures of control characters, from A3 C0 on."""

_HKSCS_2008 = (
    "㡵𡵓𣚞𦀡㻬𥣞㫵竼龗𤅡𨤍𣇪𠪊𣉞䌊蒄龖鐯䤰蘓墖靊鈘秐稲晠権袝瑌篅枂稬剏遆"
    "㓦珄𥶹瓆鿇垳䤯呌䄱𣚎堘穲𧭥讏䚮𦺈䆁𥶙箮𢒼鿈𢓁𢓉𢓌鿉蔄𣖻䂴鿊䓡𪷿拁灮鿋"
)
"""From 87 7A on; the codec has the edition of 2004."""

_BIG5_TWICE = """
8e69箸 8e6f簆 8e7e糎 8eab緒 8eb4縝 8ecd者 8ed0耨 8f57菁 8f69蒨 8f6e萏 8fcb覦 8fcc覩 8ffe起 906d都 907a銹
90dc靜 90f1響 91bf鼖 9244蔃 92af兙 92b0兛 92b1兝 92b2兞 92c8鍮 92d1瑹 9447浧 94ca禛 95d9邗 9644靝 96ed瀞
96fc嬨 9b76爁 9b78矗 9b7b纇 9bc6駖 9bde釔 9bec惞 9bf6澶 9c42輶 9c53侻 9c62營 9c68鄄 9c6b鷰 9c77菏 9cbc尐
9cbd秣 9cd0婧 9d57輋 9d5a筑 9dc4拐 9ea9恢 9eef痹 9efd汊 9f60鬮 9f66鼗 9fcb僭 9fd8弌 a063蠏 a077拎 a0d5瑨
a0df煢 a0e4牐 c6cf廴 c6d3无 c6d5癶 c6d7隶 c6de〃 c6df仝 fa5f倩 fa66偽 fabd包 fac5卄 fad5卿 fb48嘅 fbb8婷
fbf3幵 fbf9廐 fc4f彘 fc6c悤 fcb9撐 fce2晴 fcf1杞 fdb7沜 fdb8渝 fdbb港 fdf1煮 fe52猪 fe6f瑜 feaa瓩 fedd砉
"""
"""Characters at two places of Big5, of which the codec leaves these out."""

_SINGLE_BYTES = {"cp1255": {0xCA: "\u05ba"}, "koi8-u": {0xAE: "ў", 0xBE: "Ў"}}

_ESCAPE = re.compile(rb"\x1b(\([BIJ]|\$[@B])")
_JIS_CHARACTER = re.compile(rb"[\x21-\x7e][^\x1b]|[\x00-\xff]")
_JIS_PAIR = re.compile(rb"[\x21-\x7e]{2}")
_HIGH = bytes(byte | 0x80 for byte in range(256))
_ASCII = "".join(_UNKNOWN if byte in {0x0E, 0x0F, 0x1B} else chr(byte) for byte in range(0x80)) + _UNKNOWN * 0x80
_ONE_BYTE_SETS = {
    b"": _ASCII,
    b"(B": _ASCII,
    b"(J": _ASCII.replace("\\", "¥").replace("~", "‾"),
    b"(I": _UNKNOWN * 0x21 + "".join(map(chr, range(0xFF61, 0xFFA0))) + _UNKNOWN * 0xA0,
}
"""Sets of ISO-2022-JP by their escape sequence; the others are JIS X 0208."""


def to_utf8(body: bytes, codec: str) -> bytes:
    """Turns bytes into UTF-8 as the Encoding Standard decodes them.

    Args:
        body: Bytes without a byte order mark.
        codec: The encoding, by the name that `udfs.pages.charset.codec_of_label` gives it.

    Returns:
        UTF-8 in which U+FFFD stands for what the encoding does not know. Bytes said to be UTF-8 stay as they are.
    """
    if codec == "utf-8" or (codec not in _NOT_LIKE_ASCII and body.isascii()):
        return body
    if codec.startswith("utf-16"):
        return body.decode(codec, "replace").encode()
    if codec == "replacement":
        return _UNKNOWN.encode() if body else b""
    if codec == "iso2022_jp":
        return _from_iso_2022_jp(body)
    if codec in _CHARACTERS:
        return _multi_byte_decoder(codec).decode(body)
    return _from_single_bytes(body, _single_byte_table(codec))


def _decoded(body: bytes, codec: str) -> str | None:
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return None


def _replaced(characters: re.Pattern[bytes], to_text: Callable[[bytes], bytes], body: bytes) -> bytes:
    """Replaces characters as `re.sub` does, which would keep all parts of a large page before it joins them."""
    text, end = bytearray(), 0
    for found in characters.finditer(body):
        begin = found.start()
        if begin != end:
            text += body[end:begin]
        text += to_text(found[0])
        end = found.end()
    return bytes(text + body[end:])


class _MultiByteDecoder:
    """A decoder of the Standard: a codec of Python's for pages that both read alike, else character by character."""

    def __init__(self, codec: str, differences: Mapping[bytes, str]) -> None:
        self._codec = codec
        self._differences = differences
        self._characters = re.compile(_CHARACTERS[codec])
        read = {character: _decoded(character, codec) for character in differences}
        misread = {read[character] for character, known in differences.items() if read[character] != known} - {None}
        self._misread = re.compile("|".join(map(re.escape, sorted(filter(None, misread)))) or r"(?!)")
        self.character = lru_cache(_MOST_CACHED)(self._character)

    def decode(self, body: bytes) -> bytes:
        text = _decoded(body, self._codec)
        if text is None or self._misread.search(text):
            return _replaced(self._characters, self.character, body)
        return text.encode()

    def _character(self, character: bytes) -> bytes:
        known = self._differences.get(character) or _decoded(character, self._codec)
        if known is not None:
            return known.encode()
        last = character[-1:]  # a letter's byte is never lost to an unknown character
        return _UNKNOWN.encode() + (last if b"@" <= last <= b"~" else b"")


@lru_cache
def _multi_byte_decoder(codec: str) -> _MultiByteDecoder:
    differences: dict[str, Callable[[], Mapping[bytes, str]]] = {
        "big5hkscs": _big5,
        "cp932": lambda: dict.fromkeys((b"\xa0", b"\xfd", b"\xfe", b"\xff"), _UNKNOWN),
        "euc_jp": _euc_jp,
        "gb18030": lambda: _GB18030,
    }
    return _MultiByteDecoder(codec, differences.get(codec, dict)())


def _big5() -> dict[bytes, str]:
    """Collects what HKSCS-2008 added; rows A1 to A3 are as Microsoft has them."""
    pairs = [bytes([row, cell]) for row in (0xA1, 0xA2, 0xA3) for cell in _BIG5_CELLS]
    known = {pair: char for pair in pairs if (char := _decoded(pair, "cp950"))}
    known |= {bytes([0xA3, 0xC0 + cell]): char for cell, char in enumerate(_BIG5_CONTROLS)}
    begin = _BIG5_CELLS.index(0x7A)
    known |= {bytes([0x87, _BIG5_CELLS[begin + cell]]): char for cell, char in enumerate(_HKSCS_2008)}
    return known | {bytes.fromhex(place[:4]): place[4:] for place in _BIG5_TWICE.split()}


def _euc_jp() -> dict[bytes, str]:
    """Puts JIS X 0208 as Microsoft's Shift_JIS has it, with NEC's and IBM's rows, at the places of EUC-JP."""
    leads = [*range(0x81, 0xA0), *range(0xE0, 0xF0)]
    trails = [*range(0x40, 0x7F), *range(0x80, 0xFD)]
    places = (bytes(pair) for pair in product(range(0xA1, 0xFF), repeat=2))
    pairs = zip(places, (bytes(pair) for pair in product(leads, trails)), strict=True)
    known = {place: char for place, pair in pairs if (char := _decoded(pair, "cp932"))}
    return known | {b"\x8f\xa2\xb7": "～"}


def _from_iso_2022_jp(body: bytes) -> bytes:
    """Decodes each run of bytes by the set that the escape sequence before it names.

    Of two escape sequences with nothing between, the second is an unknown character.
    """
    text, escape, begin = bytearray(), b"", 0
    for found in _ESCAPE.finditer(body):
        run = body[begin : found.start()]
        text += _from_jis_run(run, escape) if run or not escape else _UNKNOWN.encode()
        escape, begin = found[1], found.end()
    return bytes(text + _from_jis_run(body[begin:], escape))


def _from_jis_run(run: bytes, escape: bytes) -> bytes:
    if escape in _ONE_BYTE_SETS:
        return _from_single_bytes(run, _ONE_BYTE_SETS[escape])
    return _replaced(_JIS_CHARACTER, _jis_character, run)


def _jis_character(character: bytes) -> bytes:
    is_pair = _JIS_PAIR.fullmatch(character) is not None
    return _multi_byte_decoder("euc_jp").character(character.translate(_HIGH)) if is_pair else _UNKNOWN.encode()


def _from_single_bytes(body: bytes, table: str) -> bytes:
    return codecs.charmap_decode(body, "strict", table)[0].encode()


@lru_cache
def _single_byte_table(codec: str) -> str:
    """Fills the holes that Python's table has among the control characters, as Windows does."""
    if codec == "x-user-defined":
        return "".join(map(chr, [*range(0x80), *range(0xF780, 0xF800)]))
    characters = list(bytes(range(256)).decode(codec, "replace"))
    for byte in range(0x80, 0xA0):
        characters[byte] = chr(byte) if characters[byte] == _UNKNOWN else characters[byte]
    for byte, character in _SINGLE_BYTES.get(codec, {}).items():
        characters[byte] = character
    return "".join(characters)
