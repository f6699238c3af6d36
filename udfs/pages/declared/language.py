"""The language that a page declares, as one code of few letters, which compiled loops carry as a number."""

import re

_SEVERAL_CODES = """
aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bibis bmbam bnben bobod brbre
bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe elell eneng eoepo esspa etest
eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv hahau heheb hihin hohmo hrhrv hthat
huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl itita iuiku jajpn jvjav kakat kgkon kikik kjkua kkkaz
klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim lnlin lolao ltlit lulub lvlav mgmlg
mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau ndnde nenep ngndo nlnld nnnno nonor nonob nrnbl nvnav nynya
ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh rnrun roron rurus rwkin sasan scsrd sdsnd sesme
sgsag shhbs sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun svswe swswa tatam tetel tgtgk ththa titir
tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid
yoyor zazha zhzho zuzul
sqalb hyarm eubaq mybur zhchi cscze nldut frfre kageo deger elgre isice mkmac mimao msmay faper rorum skslo botib cywel
"""
"""A language's code of two letters with one of three behind it: that of ISO 639-3, and in the last line that of
ISO 639-2 for libraries. Bokmål stands as Norwegian."""

_OTHER_CODES = {"nb": "no", "iw": "he", "in": "id"}
_NO_LANGUAGES = ("mis", "mul", "und", "zxx")
"""Codes of ISO 639-3 for languages without a code, several, an unknown one, and none."""

SHORT_CODES = {pair[:2]: pair[:2] for pair in _SEVERAL_CODES.split()} | _OTHER_CODES
"""Codes of two letters, with the one that a page's language has."""

LONG_CODES = {pair[2:]: pair[:2] for pair in _SEVERAL_CODES.split()} | dict.fromkeys(_NO_LANGUAGES, "")
"""Codes of three letters that a page's language does not have, with the one that it has instead, empty for none."""

_TAG = re.compile(r"[ \t\n\r\f\v]*([A-Za-z]{2,3})(?:[-_].*)?[ \t\n\r\f\v]*", re.DOTALL)
_CANTONESE = re.compile(r"[ \t\n\r\f\v]*zh[-_]yue(?:[-_].*)?[ \t\n\r\f\v]*", re.DOTALL | re.IGNORECASE | re.ASCII)


def page_language(declared: str | None) -> str | None:
    """Reads a language tag, such as the `lang` of a page's `<html>`.

    Returns:
        Its primary subtag in small letters: the code of two letters where the language has one, else its code of
        ISO 639-3, which is not looked up. None for anything else.
    """
    tag = _TAG.fullmatch(declared or "")
    if tag is None:
        return None
    if _CANTONESE.fullmatch(declared or ""):
        return "yue"
    code = tag[1].lower()
    return (SHORT_CODES.get(code) if len(code) == 2 else LONG_CODES.get(code, code)) or None  # noqa: PLR2004


def pack_language(code: str | None) -> int:
    """Gives a code as a number, its first letter in the lowest byte; 0 for none."""
    return int.from_bytes((code or "").encode(), "little")


def unpack_language(number: int) -> str | None:
    """Gives the code that `pack_language` made a number of."""
    return number.to_bytes(8, "little").rstrip(b"\0").decode() or None
