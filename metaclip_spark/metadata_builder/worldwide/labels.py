"""Which list the texts of a label of language identification belong to, and which wikis make one list.

What stands here is what languages.json gets where the plan says nothing else; a user edits that file, or the plan.
"""

from collections.abc import Collection, Mapping

from metaclip_spark.config.languages import LANGUAGES
from metaclip_spark.entries.lists import OTHER

LABELS = {
    **{label: label for label in sorted(LANGUAGES)},
    "cbk": "cbk_zam",
    "lrc": OTHER,
    "yue": "zh_yue",
}
"""Label of fastText's lid.176 -> list; all but these three are codes of Wikipedias as they are."""

MERGED = {"be_tarask": "be", "simple": "en", "zh_classical": "zh"}
"""Wiki -> the list that it is a part of, beside the wiki of that name."""


def list_of(wiki: str, merged: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """Names the list that a wiki is a part of: other, where no label leads to it."""
    code = merged.get(wiki, wiki)
    return code if code in labels.values() else OTHER


def labels_of(lists: Collection[str], labels: Mapping[str, str]) -> dict[str, str]:
    """Gives the labels with their lists, and those without one the list other, where it is there."""
    known = {label: code if code in lists else OTHER for label, code in labels.items()}
    return {label: code for label, code in sorted(known.items()) if code in lists}
