"""Small folders of metadata lists, and pools of texts for them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LISTS = {
    "de": ["Hund", "rot", "Haus", "dog"],
    "en": ["dog", "red", "house", "the", "Hund"],
    "ja": ["犬", "東京", "タワー", "dog"],
    "other": ["dog", "chien", "犬"],
}
LABELS = {"de": "de", "en": "en", "fr": "other", "ja": "ja"}
TEXTS = (
    *(f"the red dog in front of the house number {number}" for number in range(12)),
    *(f"the dog and the red house, picture {number}" for number in range(6)),
    *(f"der Hund ist vor dem Haus mit der Nummer {number}" for number in range(5)),
    *(f"東京タワーの夜景と犬の写真{number}" for number in range(4)),
    "un chien rouge devant la maison",
    "nothing of this is on any list here",
    "das rote Haus",
)


def write_lists(folder: Path, lists: Mapping[str, Sequence[str]] = LISTS, labels: Mapping[str, str] = LABELS) -> Path:
    """Writes a folder of lists, whose anchor is English."""
    folder.mkdir(parents=True)
    for code, entries in lists.items():
        (folder / f"{code}.json").write_text(json.dumps(entries))
    files = {code: {"file": f"{code}.json"} for code in lists}
    told = {"format": 1, "anchor": "en", "lists": files, "labels": dict(labels)}
    (folder / "languages.json").write_text(json.dumps(told))
    return folder


def write_texts(path: Path, texts: Sequence[str] = TEXTS, languages: Sequence[str | None] | None = None) -> Path:
    """Writes a pool of texts, each with an image of its own, and with what a column says of their languages."""
    urls = [f"https://example.org/{number}.jpg" for number in range(len(texts))]
    told = pa.array(languages or [None] * len(texts), pa.string())
    pq.write_table(pa.table({"url": urls, "text": list(texts), "tag": told}), path)
    return path
