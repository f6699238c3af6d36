"""The languages that fastText's lid.176 tells apart, and what people write in place of its codes."""

from metaclip_spark.errors import meant_by

_CODES = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de "
    "diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo "
    "io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms "
    "mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn "
    "sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf "
    "yi yo yue zh"
)
LANGUAGES = frozenset(_CODES.split())
"""The model's labels."""

_OTHER_NAMES = (
    "ar ara arabic|bg bul bulgarian|bn ben bengali|ca cat catalan|cs ces cze czech|da dan danish|de deu ger german|"
    "el ell gre greek|en eng english|es spa spanish|et est estonian|eu eus baq basque|fa fas per persian|"
    "fi fin finnish|fr fra fre french|gl glg galician|he heb iw hebrew|hi hin hindi|hr hrv croatian|hu hun hungarian|"
    "id ind in indonesian|it ita italian|ja jpn jp japanese|ko kor kr korean|lt lit lithuanian|lv lav latvian|"
    "ms msa may malay|nl nld dut dutch|no nor nob nb norwegian|nn nno nynorsk|pl pol polish|pt por portuguese|"
    "ro ron rum romanian|ru rus russian|sk slk slo slovak|sl slv slovenian|sr srp serbian|sv swe swedish|"
    "ta tam tamil|te tel telugu|th tha thai|tr tur turkish|uk ukr ua ukrainian|ur urd urdu|vi vie vietnamese|"
    "zh zho chi cn cmn chinese"
)
_CODE_OF = {name: names.split()[0] for names in _OTHER_NAMES.split("|") for name in names.split()[1:]}
"""ISO 639-2 and 639-3 codes, countries taken for languages, and English names of common languages."""


def suggestion_for(code: str) -> str:
    """The code that may have been meant by one that the model does not have; empty where none comes near."""
    known = _CODE_OF.get(code) or meant_by(code, [*LANGUAGES, *_CODE_OF], alike=0.7)
    return _CODE_OF.get(known, known)
