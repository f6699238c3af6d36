"""Where an entry may begin and end in a text: the three rules for word borders, and the characters that they know.

Let s be the spaced text (`spacing`). An entry e that stands at s[i:j] matches if a border is on both of its sides:

- `spaces`, the paper's rule: s[i-1] and s[j] are spaces.
- `script`: as well where a script is written without spaces. On the left: s[i-1] is a space, or e does not begin with a
  space and border(s[i-1], s[i]). On the right likewise. Texts without break characters are matched as by `spaces`.
- `metaclip2`, the rule of MetaCLIP 2, for comparison: on the left s[i-1] is a space, or e begins with a character of
  `METACLIP2_CHARACTERS`; on the right likewise. It cuts syllables of Khmer and Burmese, and knows no kana.
"""

import re
from bisect import bisect_right
from functools import lru_cache
from itertools import chain

WORD_BORDERS = ("spaces", "script", "metaclip2")
UNICODE_VERSION = "17.0"
"""The version of Unicode whose characters the tables have."""

BREAK_SCRIPTS = {
    "Han": (
        "2E80-2E99 2E9B-2EF3 2F00-2FD5 3005 3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FA6D FA70-FAD9 "
        "16FE2-16FE3 16FF0-16FF6 20000-2A6DF 2A700-2B81E 2B820-2CEAD 2CEB0-2EBE0 2EBF0-2EE5D 2F800-2FA1D 30000-3134A "
        "31350-33479"
    ),
    "Hiragana": "3041-3096 309D-309F 1B001-1B11F 1B123 1B132 1B150-1B152 1F200",
    "Katakana": (
        "30A1-30FA 30FD-30FF 31F0-31FF 32D0-32FE 3300-3357 FF66-FF6F FF71-FF9D 1AFF0-1AFF3 1AFF5-1AFFB 1AFFD-1AFFE "
        "1B000 1B120-1B122 1B124-1B128 1B155 1B164-1B168"
    ),
    "Bopomofo": "3105-312F 31A0-31BF",
    "Yi": "A000-A48C A490-A4C6",
    "Thai": "E01-E3A E40-E5B",
    "Lao": "E81-E82 E84 E86-E8A E8C-EA3 EA5 EA7-EBD EC0-EC4 EC6 EC8-ECE ED0-ED9 EDC-EDF",
    "Khmer": "1780-17DD 17E0-17E9 17F0-17F9 19E0-19FF",
    "Myanmar": "1000-109F A9E0-A9FE AA60-AA7F 116D0-116E3",
    "Tibetan": "F00-F47 F49-F6C F71-F97 F99-FBC FBE-FCC FCE-FD4 FD9-FDA",
    "Tai_Le": "1950-196D 1970-1974",
    "New_Tai_Lue": "1980-19AB 19B0-19C9 19D0-19DA 19DE-19DF",
    "Tai_Tham": "1A20-1A5E 1A60-1A7C 1A7F-1A89 1A90-1A99 1AA0-1AAD",
    "Tai_Viet": "AA80-AAC2 AADB-AADF",
    "Javanese": "A980-A9CD A9D0-A9D9 A9DE-A9DF",
    "Balinese": "1B00-1B4C 1B4E-1B7F",
}
"""Break characters by their script, in hexadecimal: those of scripts that are written without spaces, without two tone
marks of Bopomofo in Latin phonetics."""

COMBINING_MARKS = (
    "300-36F 483-489 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7-5C9 610-61A 64B-65F 670 6D6-6DC 6DF-6E4 6E7-6E8 6EA-6ED 711 "
    "730-74A 7A6-7B0 7EB-7F3 7FD 816-819 81B-823 825-827 829-82D 859-85B 897-89F 8CA-8E1 8E3-903 93A-93C 93E-94F "
    "951-957 962-963 981-983 9BC 9BE-9C4 9C7-9C8 9CB-9CD 9D7 9E2-9E3 9FE A01-A03 A3C A3E-A42 A47-A48 A4B-A4D A51 "
    "A70-A71 A75 A81-A83 ABC ABE-AC5 AC7-AC9 ACB-ACD AE2-AE3 AFA-AFF B01-B03 B3C B3E-B44 B47-B48 B4B-B4D B53-B57 "
    "B62-B63 B82 BBE-BC2 BC6-BC8 BCA-BCD BD7 C00-C04 C3C C3E-C44 C46-C48 C4A-C4D C55-C56 C62-C63 C81-C83 CBC CBE-CC4 "
    "CC6-CC8 CCA-CCD CD5-CD6 CE2-CE3 CF3 D00-D03 D3B-D3C D3E-D44 D46-D48 D4A-D4D D57 D62-D63 D81-D83 DCA DCF-DD4 DD6 "
    "DD8-DDF DF2-DF3 E31 E34-E3A E47-E4E EB1 EB4-EBC EC8-ECE F18-F19 F35 F37 F39 F3E-F3F F71-F84 F86-F87 F8D-F97 "
    "F99-FBC FC6 102B-103E 1056-1059 105E-1060 1062-1064 1067-106D 1071-1074 1082-108D 108F 109A-109D 135D-135F "
    "1712-1715 1732-1734 1752-1753 1772-1773 17B4-17D3 17DD 180B-180D 180F 1885-1886 18A9 1920-192B 1930-193B "
    "1A17-1A1B 1A55-1A5E 1A60-1A7C 1A7F 1AB0-1AF0 1B00-1B04 1B34-1B44 1B6B-1B73 1B80-1B82 1BA1-1BAD 1BE6-1BF3 "
    "1C24-1C37 1CD0-1CD2 1CD4-1CE8 1CED 1CF4 1CF7-1CF9 1DC0-1DFF 20D0-20F0 2CEF-2CF1 2D7F 2DE0-2DFF 302A-302F "
    "3099-309A A66F-A672 A674-A67D A69E-A69F A6F0-A6F1 A802 A806 A80B A823-A827 A82C A880-A881 A8B4-A8C5 A8E0-A8F1 "
    "A8FF A926-A92D A947-A953 A980-A983 A9B3-A9C0 A9E5 AA29-AA36 AA43 AA4C-AA4D AA7B-AA7D AAB0 AAB2-AAB4 AAB7-AAB8 "
    "AABE-AABF AAC1 AAEB-AAEF AAF5-AAF6 ABE3-ABEA ABEC-ABED FB1E FE00-FE0F FE20-FE2F 101FD 102E0 10376-1037A "
    "10A01-10A03 10A05-10A06 10A0C-10A0F 10A38-10A3A 10A3F 10AE5-10AE6 10D24-10D27 10D69-10D6D 10EAB-10EAC "
    "10ECB-10ECF 10EF0-10EFF 10F46-10F50 10F82-10F85 11000-11002 11038-11046 11070 11073-11074 1107F-11082 "
    "110B0-110BA 110C2 11100-11102 11127-11134 11145-11146 11173 11180-11182 111B3-111C0 111C9-111CC 111CE-111CF "
    "1122C-11237 1123E 11241 112DF-112EA 11300-11303 1133B-1133C 1133E-11344 11347-11348 1134B-1134D 11357 "
    "11362-11363 11366-1136C 11370-11374 113B8-113C0 113C2 113C5 113C7-113CA 113CC-113D0 113D2 113E1-113E2 "
    "11435-11446 1145E 114B0-114C3 115AF-115B5 115B8-115C0 115DC-115DD 11630-11640 116AB-116B7 1171D-1172B "
    "1182C-1183A 11930-11935 11937-11938 1193B-1193E 11940 11942-11943 119D1-119D7 119DA-119E0 119E4 11A01-11A0A "
    "11A33-11A39 11A3B-11A3E 11A47 11A51-11A5B 11A8A-11A99 11B60-11B67 11C2F-11C36 11C38-11C3F 11C92-11CA7 "
    "11CA9-11CB6 11D31-11D36 11D3A 11D3C-11D3D 11D3F-11D45 11D47 11D8A-11D8E 11D90-11D91 11D93-11D97 11DF0 "
    "11EF3-11EF6 11F00-11F01 11F03 11F34-11F3A 11F3E-11F42 11F5A 13440 13447-13455 1611E-1612F 16AF0-16AF4 "
    "16B30-16B36 16F4F 16F51-16F87 16F8F-16F92 16FE4 16FF0-16FF1 1BC9D-1BC9E 1CF00-1CF2D 1CF30-1CF46 1D127-1D128 "
    "1D165-1D169 1D16D-1D172 1D17B-1D182 1D185-1D18B 1D1AA-1D1AD 1D242-1D244 1D250-1D252 1D25B-1D25C 1D25F "
    "1D280-1D281 1DA00-1DA36 1DA3B-1DA6C 1DA75 1DA84 1DA9B-1DA9F 1DAA1-1DAAF 1E000-1E006 1E008-1E018 1E01B-1E021 "
    "1E023-1E024 1E026-1E02A 1E08F 1E130-1E136 1E2AE 1E2EC-1E2EF 1E4EC-1E4EF 1E5EE-1E5EF 1E6E3 1E6E6 1E6EE-1E6EF "
    "1E6F5 1E8D0-1E8D6 1E944-1E94A E0100-E01EF"
)
"""Characters of general category M, in hexadecimal: what belongs to the character before it."""

BREAK_SIGNS = "3000-303F 3099-309C 30A0 30FB-30FC FF01-FF0F FF1A-FF20 FF3B-FF40 FF5B-FF65 FF70 FF9E-FF9F E0100-E01EF"
"""Break characters that are of no single script: the punctuation of Chinese and Japanese, also of full width; the marks
and lengthening signs of kana, also of half width; the selectors of variants of ideographs."""

METACLIP2_CHARACTERS = (
    "21-2F 3A-40 5B-60 7B-7E E00-EFF F00-FFF 1000-109F 1780-17FF 2014 2018-2019 201C-201D 2E80-2FDF 2FF0-2FFF "
    "3001-3002 3008-300F 3010-3011 3400-4DBF 4E00-9FFF F900-FAFF FF01 FF08-FF09 FF0C FF1A-FF1B FF1F FF5E "
    "20000-2A6DF 2A700-2B73F 2B740-2B81F 2B820-2CEAF 2CEB0-2EBEF 2F800-2FA1F"
)
"""What MetaCLIP 2 takes for characters that need no space beside them: Han, Thai, Lao, Myanmar, Khmer, Tibetan and
punctuation."""

BREAK, MARK, JOINER = 1, 2, 4
"""Classes of characters, as bits: break characters, combining marks, and signs that join the next consonant."""

_JOINERS = "1039 17D2"
"""The virama of Burmese and the coeng of Khmer."""


def ranges_of(table: str) -> list[tuple[int, int]]:
    """Gives the first and last code points of a table's ranges."""
    ends = [part.split("-") for part in table.split()]
    return [(int(end[0], 16), int(end[-1], 16)) for end in ends]


def class_ranges() -> list[tuple[int, int, int]]:
    """Gives first and last code points with the class that they have; a character of several classes is in several."""
    breaks = chain(BREAK_SCRIPTS.values(), [BREAK_SIGNS])
    tables = [*((table, BREAK) for table in breaks), (COMBINING_MARKS, MARK), (_JOINERS, JOINER)]
    return [(first, last, kind) for table, kind in tables for first, last in ranges_of(table)]


def _borders_of_classes() -> tuple[list[int], list[int]]:
    """Gives the code points where classes change, and the class from each of them on."""
    ranges = class_ranges()
    changes = sorted({0, *(first for first, _, _ in ranges), *(last + 1 for _, last, _ in ranges)})
    classes = dict.fromkeys(changes, 0)
    for first, last, kind in ranges:
        for change in changes[bisect_right(changes, first) - 1 : bisect_right(changes, last)]:
            classes[change] |= kind
    return changes, list(classes.values())


_CHANGES, _CLASSES = _borders_of_classes()


@lru_cache(1 << 16)
def class_of(character: str) -> int:
    """Gives a character's classes, as bits."""
    return _CLASSES[bisect_right(_CHANGES, ord(character)) - 1]


def border(left: str, right: str) -> bool:
    """Tells whether an entry may begin or end between two characters of a text that are no spaces.

    One of the two is a break character, and neither is written as one with the other: the right one is no combining
    mark, and the left one joins nothing.
    """
    before, after = class_of(left), class_of(right)
    return bool((before | after) & BREAK) and not after & MARK and not before & JOINER


def metaclip2_pattern(entry_text: str) -> str:
    """Puts spaces to those ends of an entry that need them by the rule of MetaCLIP 2."""
    left = "" if _METACLIP2.match(entry_text[0]) else " "
    right = "" if _METACLIP2.match(entry_text[-1]) else " "
    return f"{left}{entry_text}{right}"


_METACLIP2 = re.compile(
    "[" + "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ranges_of(METACLIP2_CHARACTERS)) + "]"
)


def check_word_borders(word_borders: str, engine: str) -> None:
    """Refuses word borders that there are none of, or that an engine does not have.

    Raises:
        ValueError: If it must.
    """
    if word_borders not in WORD_BORDERS:
        raise ValueError(f"there are no word borders {word_borders!r}; use one of {', '.join(WORD_BORDERS)}")
    if word_borders == "metaclip2" and engine != "pyahocorasick":
        raise ValueError(
            f"the engine {engine} does not have the word borders metaclip2; use the engine pyahocorasick, or script"
        )
