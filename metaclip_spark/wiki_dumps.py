"""Finds dumps and cuts them into parts that tasks can read side by side."""

import glob
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaclip_spark.errors import ConfigError, InputError
from udfs.dump_stream import BZIP2_START, read_chunks, unpack, unpacked_lines
from udfs.page_views import COMPLETE, HOURLY
from udfs.wiki_pages import as_utf8, namespace_names
from udfs.wikitext import FILE_NAMESPACES

PART_BYTES = 32 * 1024 * 1024
"""Packed bytes per task, about: some 700 tasks for English Wikipedia."""

_HEAD_BYTES = 256 * 1024
_MAGIC_BYTES = 10
_DROPPED_NAMESPACES = (-2, 6, 14)
_COMPLETE_NAME = re.compile(r"pageviews-\d{6}(\d\d)?-(user|spider|automated)")
_HOURLY_NAME = re.compile(r"pageviews-\d{8}-\d{6}")


@dataclass(frozen=True)
class DumpPart:
    """A byte range of an article dump, as `udfs.metadata_schemas.DUMP_PARTS`."""

    dump: str
    path: str
    start: int
    end: int | None
    pages: int | None


def find_files(option: str, items: Sequence[str]) -> list[Path]:
    """Finds the files that an option names.

    Args:
        option: The option, for messages.
        items: Files, folders (their files; hidden ones and those that begin with "_" are left out) or globs.

    Returns:
        The files, sorted by name, each once.

    Raises:
        ConfigError: If an item names no file, or two files have one name.
    """
    found: dict[str, Path] = {}
    for item in items:
        path = Path(item.removeprefix("file://"))
        if path.is_dir():
            files = [file for file in path.iterdir() if file.is_file() and file.name[0] not in "._"]
        else:
            files = [path] if path.is_file() else [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207
        if not files:
            raise ConfigError(f"{option} {item} names no file: check the path")
        for file in files:
            if found.setdefault(file.name, file.absolute()) != file.absolute():
                raise ConfigError(f"{option} names two files called {file.name}: give each file once")
    return [found[name] for name in sorted(found)]


def plan_article_dumps(items: Sequence[str]) -> tuple[list[DumpPart], list[str]]:
    """Cuts article dumps into parts.

    A multistream dump with its index beside it is cut at streams; any other dump is one part.

    Args:
        items: Dumps, folders or globs; indexes among them are left out.

    Returns:
        The parts, and notes for the user.

    Raises:
        ConfigError: If an item names no dump.
        InputError: If an index does not fit its dump.
    """
    dumps = [path for path in find_files("--articles", items) if "-index" not in path.name]
    if not dumps:
        raise ConfigError(f"--articles {' '.join(items)} names only indexes: give the dumps, too")
    parts: list[DumpPart] = []
    notes: list[str] = []
    for dump in dumps:
        index = dump.with_name(dump.name.replace("-multistream", "-multistream-index").replace(".xml", ".txt"))
        if "-multistream" in dump.name and index.is_file():
            parts += cut_by_index(dump, index)
        else:
            parts.append(DumpPart(dump.name, str(dump), 0, None, None))
            notes.append(f"{dump.name} is read by one task: there is no multistream index beside it")
    return parts, notes


def cut_by_index(dump: Path, index: Path, part_bytes: int = PART_BYTES) -> list[DumpPart]:
    """Cuts a multistream dump where its index says that streams begin.

    Args:
        dump: The dump.
        index: Its index: lines of offset, page id and title with colons between, packed or plain.
        part_bytes: Least size of a part but the last.

    Returns:
        The parts, without the dump's head, which holds no page.

    Raises:
        InputError: If the index cannot be read or does not fit the dump.
    """
    size = dump.stat().st_size
    starts: list[tuple[int, int]] = []
    for offset, pages in _streams_of_index(index):
        if offset >= size or (starts and offset <= starts[-1][0]):
            raise InputError(
                _misfit(dump, index, f"its offset {offset} lies outside the dump's {size} bytes or out of order")
            )
        starts.append((offset, pages))
    parts: list[DumpPart] = []
    for offset, pages in starts:
        if parts and offset - parts[-1].start < part_bytes:
            last = parts.pop()
            parts.append(DumpPart(last.dump, last.path, last.start, None, (last.pages or 0) + pages))
        else:
            parts.append(DumpPart(dump.name, str(dump), offset, None, pages))
    ends = [*(part.start for part in parts[1:]), None]
    with dump.open("rb") as stream:
        for part in parts:
            stream.seek(part.start)
            if not BZIP2_START.match(stream.read(_MAGIC_BYTES)):
                raise InputError(_misfit(dump, index, f"no bzip2 stream begins at its offset {part.start}"))
    return [DumpPart(part.dump, part.path, part.start, end, part.pages) for part, end in zip(parts, ends, strict=True)]


def _misfit(dump: Path, index: Path, why: str) -> str:
    return (
        f"the index {index} does not fit {dump.name}: {why}; fetch both of one date, or move the index away to read "
        "the dump with one task"
    )


def _streams_of_index(index: Path) -> Iterator[tuple[int, int]]:
    """Reads where streams begin, and how many pages each holds.

    Raises:
        InputError: If the index cannot be read.
    """
    losses: Counter[str] = Counter()
    offset, pages = -1, 0
    with index.open("rb") as stream:
        for number, line in enumerate(unpacked_lines(read_chunks(stream), losses), start=1):
            field = line.split(b":", 1)[0]
            if not field.isdigit():
                raise InputError(f"line {number} of the index {index} has no offset: fetch it again")
            if int(field) != offset:
                if pages:
                    yield offset, pages
                offset, pages = int(field), 0
            pages += 1
    if losses or not pages:
        raise InputError(f"the index {index} is empty or damaged ({', '.join(sorted(losses))}): fetch it again")
    yield offset, pages


def dropped_prefixes(paths: Sequence[str]) -> frozenset[str]:
    """Collects the prefixes of links to files and categories, in each dump's language.

    Args:
        paths: Article dumps; their first bytes are read.

    Returns:
        The prefixes, in lower case, with the English ones, which are valid in every wiki.
    """
    names = set(FILE_NAMESPACES)
    for path in sorted(set(paths)):
        with Path(path).open("rb") as stream:
            head = b""
            for chunk in as_utf8(unpack(read_chunks(stream), Counter())):
                head += chunk
                if len(head) > _HEAD_BYTES or b"</siteinfo>" in head:
                    break
        found = namespace_names(head)
        names |= {found[number].lower() for number in _DROPPED_NAMESPACES if number in found}
    return frozenset(names)


def form_of_view_file(name: str) -> str:
    """Tells the form of a page-view dump by its name, as the dumps' server gives it.

    Args:
        name: The file's name.

    Returns:
        One of `udfs.page_views.FORMS`.

    Raises:
        ConfigError: If the name is no such dump's.
    """
    if _HOURLY_NAME.match(name):
        return HOURLY
    if _COMPLETE_NAME.match(name):
        return COMPLETE
    raise ConfigError(
        f"--pageviews {name} is named neither pageviews-YYYYMMDD-HH0000.gz (hourly) nor pageviews-YYYYMM-user.bz2 "
        "(complete): keep the dumps' own names, or give sums with --title-views"
    )
