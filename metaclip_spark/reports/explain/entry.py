"""The entry that a user names: by its text or, of several metadata lists, by CODE:TEXT."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from metaclip_spark.errors import ConfigError, joined
from metaclip_spark.reports.explain.curation import Curation, shown

_TYPED_WRONG = 2
"""Letters by which a mistyped entry may be longer or shorter than the one that was meant."""

_MOST_LISTS = 5
"""Lists that are named where more have the same entry."""


def find_entry(text: str, curation: Curation) -> int:
    """Finds an entry by its text and, with several lists, also by the code of its list before it.

    What could be both is the entry of that list; the other one has the code of its own list before its text.

    Returns:
        Its id.

    Raises:
        ConfigError: If no list has it, or several have.
    """
    if curation.lists is None:
        return _find(text, text, "in the metadata list of the run", curation)
    code, colon, rest = text.partition(":")
    lists = curation.lists.lists
    its_list = curation.of_list(code) if colon and code in lists.codes else None
    if its_list and rest in its_list.ids:
        return its_list.first_id + its_list.ids[rest]
    found = pc.indices_nonzero(pc.equal(curation.lists.texts, text)).to_pylist()
    if len(found) == 1:
        return int(found[0])
    if not found and its_list:
        return _find(text, rest, f"in the list {code}", its_list, f"{code}:")
    if not found:
        near = _alike(text, curation.lists.texts)
        named = [named_entry(curation.lists.texts[entry].as_py(), lists.code_of(entry)) for entry in near]
        raise ConfigError(_not_there(text, "in any metadata list of the run", named))
    codes = [lists.code_of(entry) for entry in found]
    more = len(codes) - _MOST_LISTS
    first = joined([*codes[:_MOST_LISTS], f"{more} more"] if more > 0 else codes)
    raise ConfigError(
        f"--entry {shown(text)} is in the lists {first}: "
        f"give --entry {shown(named_entry(text, codes[0]))} for that of {codes[0]}"
    )


def named_entry(text: str, code: str | None) -> str:
    """Names an entry as `find_entry` takes it."""
    return text if code is None else f"{code}:{text}"


def _find(asked: str, text: str, where: str, curation: Curation, before: str = "") -> int:
    if text in curation.ids:
        return curation.first_id + curation.ids[text]
    near = [f"{before}{curation.entries[entry]}" for entry in _near(text, curation.folded)]
    raise ConfigError(_not_there(asked, where, near))


def _not_there(text: str, where: str, near: Sequence[str]) -> str:
    asked = f"; did you mean {joined([*map(shown, near)], 'or')}?" if near else ""
    return f"--entry {shown(text)} is not {where}{asked}"


def _alike(text: str, texts: pa.Array) -> list[int]:
    """Finds what may have been meant among the entries of all lists, of which few are looked at in Python."""
    length = len(text.strip())
    is_near = pc.and_(
        pc.equal(pc.utf8_lower(pc.utf8_slice_codeunits(texts, 0, 1)), text.strip()[:1].lower()),
        pc.less_equal(pc.abs(pc.subtract(pc.utf8_length(texts), length)), _TYPED_WRONG),
    )
    known: dict[str, int] = {}
    for entry in pc.indices_nonzero(is_near).to_pylist():
        known.setdefault(texts[entry].as_py().casefold(), entry)
    return _near(text, known)


def _near(text: str, known: Mapping[str, int]) -> list[int]:
    folded = text.strip().casefold()
    if folded in known:
        return [known[folded]]
    # A look at every entry of a long list takes too long.
    alike = [each for each in known if each[:1] == folded[:1] and abs(len(each) - len(folded)) <= _TYPED_WRONG]
    return [known[each] for each in get_close_matches(folded, alike, n=3)]
