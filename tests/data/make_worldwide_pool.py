"""Makes a real multilingual pool, and one metadata list per language, from packages of registries.

- npm's cldr-annotations-full and -derived-full (Unicode licence): the names of emoji in some 140 locales are captions;
  names and keywords are the entries of a locale's list, behind the numbers 0 to 99.
- npm's @twemoji/svg (CC BY 4.0): which emoji have a picture; image URLs point to it.
- Debian's tuxpaint-stamps-default (some 160 MB): captions of stamps in up to 78 languages.

Nothing of them is kept in the repository. The same packages give the same bytes.

Usage: python tests/data/make_worldwide_pool.py [--output build/worldwide]
       [--annotations FOLDER] [--derived FOLDER] [--pictures FOLDER] [--stamps FOLDER | --without-stamps]
"""

import argparse
import json
import re
import shutil
import subprocess
import tarfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ANNOTATIONS = "cldr-annotations-full@48.2.0"
DERIVED = "cldr-annotations-derived-full@48.2.0"
PICTURES = "@twemoji/svg@15.0.0"
STAMPS = "tuxpaint-stamps-default"
PICTURE_URL = f"https://cdn.jsdelivr.net/npm/{PICTURES}/{{}}.svg"
STAMP_URL = "https://tuxpaint.invalid/{}"

LEAST_NAMES = 50
"""Names that a locale needs for a list of its own."""

OTHER = "other"
NUMBERS = tuple(str(number) for number in range(100))
_LISTS = {"cbk": "cbk_zam", "fil": "tl", "yue": "zh_yue"}
"""Locales whose lists are called otherwise."""

_LOCALES = {"nb": "no", "sr-latin": "sr-Latn", "zh-TW": "zh-Hant"}
"""Tux Paint's locales as CLDR has them, where they differ."""

_VARIATION = "\ufe0f"
_STAMP_CAPTION = re.compile(r"([A-Za-z_@]+)\.utf8=(.+)")

Caption = tuple[str, str, str]
"""Image URL, caption and locale."""

Annotation = tuple[str, str, str, list[str]]
"""Locale, emoji, name and keywords."""


class MissingPackageError(Exception):
    """A package that cannot be had; the message says what to do."""


def annotations(folder: Path) -> Iterator[Annotation]:
    """Reads the annotations of every locale, in the order of locales and emoji."""
    for file in sorted(folder.glob("annotations*/*/annotations.json")):
        locale = file.parent.name
        (content,) = json.loads(file.read_text("utf-8")).values()
        for emoji, texts in sorted(content.get("annotations", {}).items()):
            names = [name for each in texts.get("tts", []) if (name := each.strip())]
            if locale != "und" and names:
                yield locale, emoji, names[0], [each.strip() for each in texts.get("default", [])]


def pictures(folder: Path) -> dict[str, str]:
    """Gives the picture's name of each emoji that has one; variation selectors make no difference."""
    found = {}
    for file in sorted(folder.glob("*.svg")):
        signs = "".join(chr(int(code, 16)) for code in file.stem.split("-"))
        found[signs.replace(_VARIATION, "")] = file.stem
    return found


def stamp_captions(folder: Path) -> Iterator[Caption]:
    """Reads the captions of stamps: the English one stands first, each other one behind its locale."""
    for file in sorted(folder.rglob("*.txt")):
        url = STAMP_URL.format(file.relative_to(folder).with_suffix("").as_posix())
        lines = file.read_text("utf-8", "replace").splitlines()
        captions = [("en", lines[0])] if lines else []
        captions += [(found[1], found[2]) for line in lines[1:] if (found := _STAMP_CAPTION.match(line))]
        yield from ((url, text.strip(), code) for code, text in captions if text.strip())


def locale_of(code: str, locales: Collection[str]) -> str:
    """Turns a locale, also in Tux Paint's form, into the one whose list it takes: without its country, if need be."""
    full = code.replace("_", "-").replace("@", "-")
    language = full.partition("-")[0]
    full = _LOCALES.get(full, full)
    return full if full in locales else _LOCALES.get(language, language)


def list_of(locale: str) -> str:
    """Names a locale's list."""
    return _LISTS.get(locale, locale.lower().replace("-", "_"))


def lists_of(rows: Sequence[Annotation]) -> dict[str, list[str]]:
    """Makes the list of each locale that has enough names, by locale, and one of all others."""
    words: defaultdict[str, set[str]] = defaultdict(set)
    names = Counter(locale for locale, _, _, _ in rows)
    large = {locale for locale, number in names.items() if number >= LEAST_NAMES}
    for locale, _, name, keywords in rows:
        nearest = locale_of(locale, large)
        words[nearest if nearest in large else OTHER] |= {name, *keywords}
    words[OTHER] |= set()
    return {locale: [*NUMBERS, *sorted(found - {"", *NUMBERS})] for locale, found in sorted(words.items())}


def write_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    """Writes the lists and languages.json, which comes last."""
    shutil.rmtree(folder, ignore_errors=True)
    codes = {locale: list_of(locale) for locale in lists}
    for locale, code in codes.items():
        (folder / code).mkdir(parents=True)
        text = json.dumps(lists[locale], ensure_ascii=False, indent=0)
        (folder / code / "metadata.json").write_text(f"{text}\n", "utf-8")
    # The label of language identification is another than the locale.
    labels = {**codes, **({"tl": "tl"} if "fil" in codes else {})}
    content = {
        "format": 1,
        "anchor": "en",
        "lists": {code: {"file": f"{code}/metadata.json"} for code in sorted(codes.values())},
        "labels": dict(sorted(labels.items())),
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / "languages.json").write_text(f"{text}\n", "utf-8")


def write_pool(file: Path, captions: Sequence[Caption]) -> None:
    """Writes image_url, alt_text and language of each caption."""
    columns = dict(zip(("image_url", "alt_text", "language"), map(list, zip(*captions, strict=True)), strict=True))
    pq.write_table(pa.table(columns), file, row_group_size=50_000)


def npm_package(name: str, folder: Path, option: str) -> Path:
    """Fetches a package of npm, once."""
    unpacked = folder / name.strip("@").replace("/", "-").partition("@")[0]
    if not (unpacked / "package").is_dir():
        unpacked.mkdir(parents=True, exist_ok=True)
        try:
            command = ["npm", "pack", "--silent", "--pack-destination", str(unpacked), name]
            subprocess.run(command, capture_output=True, check=True)
            (archive,) = unpacked.glob("*.tgz")
            with tarfile.open(archive) as content:
                content.extractall(unpacked, filter="data")
            archive.unlink()
        except (OSError, subprocess.CalledProcessError, ValueError, tarfile.TarError):
            raise MissingPackageError(
                f"npm could not fetch {name}: install npm and let it reach a registry, or give the unpacked package "
                f"by {option}"
            ) from None
    return unpacked / "package"


def debian_package(name: str, folder: Path, option: str) -> Path:
    """Fetches a package of Debian, once."""
    unpacked = folder / name
    stamps = unpacked / "usr/share/tuxpaint/stamps"
    if not stamps.is_dir():
        unpacked.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", "-q", name], cwd=unpacked, capture_output=True, check=True)
            (archive,) = unpacked.glob("*.deb")
            subprocess.run(["dpkg", "-x", archive.name, "."], cwd=unpacked, capture_output=True, check=True)
            archive.unlink()
        except (OSError, subprocess.CalledProcessError, ValueError):
            raise MissingPackageError(
                f"apt-get could not fetch {name}: give its folder of stamps by {option}, or leave it out with "
                "--without-stamps"
            ) from None
    return stamps


def make(options: argparse.Namespace) -> str:
    """Makes pool and lists; gives the line that says what is in them."""
    packages = options.output / "packages"
    known = pictures(options.pictures or npm_package(PICTURES, packages, "--pictures"))
    rows = list(annotations(options.annotations or npm_package(ANNOTATIONS, packages, "--annotations")))
    derived = list(annotations(options.derived or npm_package(DERIVED, packages, "--derived")))
    lists = lists_of(rows)
    captions: dict[Caption, None] = {}
    without_picture = 0
    for locale, emoji, name, _ in [*rows, *derived]:
        picture = known.get(emoji.replace(_VARIATION, ""))
        if picture is None:
            without_picture += 1
        else:
            captions[PICTURE_URL.format(picture), name, locale_of(locale, lists)] = None
    if not options.without_stamps:
        folder = options.stamps or debian_package(STAMPS, packages, "--stamps")
        for url, text, code in stamp_captions(folder):
            captions[url, text, locale_of(code, lists)] = None
    if not captions or "en" not in lists:
        raise MissingPackageError("the packages hold no captions, or none in English: give the folders of whole ones")
    options.output.mkdir(parents=True, exist_ok=True)
    write_pool(options.output / "pool.parquet", list(captions))
    write_lists(options.output / "lists", lists)
    entries = sum(map(len, lists.values()))
    return (
        f"{len(captions):,} captions in {len({locale for _, _, locale in captions})} locales, {len(lists)} lists with "
        f"{entries:,} entries, in {options.output} ({without_picture:,} names without a picture)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/worldwide"))
    parser.add_argument("--annotations", type=Path, help=f"unpacked {ANNOTATIONS}, which is not fetched then")
    parser.add_argument("--derived", type=Path, help=f"unpacked {DERIVED}, likewise")
    parser.add_argument("--pictures", type=Path, help=f"unpacked {PICTURES}, likewise")
    parser.add_argument("--stamps", type=Path, help=f"folder of the stamps of {STAMPS}, likewise")
    parser.add_argument("--without-stamps", action="store_true", help=f"leave out {STAMPS}")
    try:
        print(make(parser.parse_args(argv)))
    except MissingPackageError as missing:
        parser.error(str(missing))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
