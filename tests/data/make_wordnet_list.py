"""Writes the demo's metadata list, `wordnet_lemmas.txt.gz`, from WordNet 3.0's data files.

The rule is the paper's (section 3.1, "WordNet synsets") as its published figure of 86,654 pins it down: the numbers
0 to 99, then the first lemma of each synset without its adjective marker, lower-cased, cut at the first dot, with
underscores as spaces, each string once, in the order of the files.

Usage: python tests/data/make_wordnet_list.py [--wordnet /usr/share/wordnet] [--output wordnet_lemmas.txt.gz]
Debian's package wordnet-base has the data files.
"""

import argparse
import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
EXPECTED_ENTRIES = 86_654
FIRST_LEMMA_FIELD = 4
"""A data line is: offset, file number, synset type, word count, first lemma, and more."""

_ADJECTIVE_MARKER = re.compile(r"\((?:a|p|ip)\)$")


def synset_names(wordnet: Path) -> Iterator[str]:
    """Yields the cleaned first lemma of every synset, repeats and empty strings included."""
    for part in PARTS_OF_SPEECH:
        with (wordnet / f"data.{part}").open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith("  "):
                    continue  # the licence stands at the head of each file, indented
                lemma = _ADJECTIVE_MARKER.sub("", line.split(" ")[FIRST_LEMMA_FIELD])
                yield lemma.lower().split(".", 1)[0].replace("_", " ")


def metadata_entries(wordnet: Path) -> list[str]:
    """Returns the list: the numbers 0 to 99 and the distinct, non-empty synset names, in order."""
    names = [str(number) for number in range(100)]
    names.extend(synset_names(wordnet))
    return [name for name in dict.fromkeys(names) if name]


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the list and checks its length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("wordnet_lemmas.txt.gz"))
    options = parser.parse_args(argv)
    entries = metadata_entries(options.wordnet)
    if len(entries) != EXPECTED_ENTRIES:
        parser.error(f"{options.wordnet} gives {len(entries)} entries, WordNet 3.0 gives {EXPECTED_ENTRIES}")
    options.output.write_bytes(gzip.compress("".join(f"{entry}\n" for entry in entries).encode(), 9, mtime=0))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
