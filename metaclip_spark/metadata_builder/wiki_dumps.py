"""Finds dumps and cuts them into parts that tasks can read side by side."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from metaclip_spark.errors import ConfigError, InputError, brief, counted
from metaclip_spark.inputs.files import resolve_files
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive, size_of_archive
from udfs.sources.codecs import BZIP2, START_BYTES, unreadable_form
from udfs.sources.compression import read_chunks
from udfs.wikipedia.dumps import unpack, unpacked_lines
from udfs.wikipedia.page_views import COMPLETE, HOURLY
from udfs.wikipedia.pages import as_utf8, namespace_names
from udfs.wikipedia.wikitext import FILE_NAMESPACES

PART_BYTES = 32 * 1024 * 1024
"""Packed bytes per task, about: some 700 tasks for English Wikipedia."""

_WIKI_FOLDER = re.compile(r"(?:^|/)wiki=(?P<wiki>[^/]+)/")
_HEAD_BYTES = 256 * 1024
_DROPPED_NAMESPACES = (-2, 6, 14)
_COMPLETE_NAME = re.compile(r"pageviews-\d{6}(\d\d)?-(user|spider|automated)")
_HOURLY_NAME = re.compile(r"pageviews-\d{8}-\d{6}")


@dataclass(frozen=True)
class DumpPart:
    """A byte range of an article dump, as `udfs.schemas.DUMP_PARTS`."""

    dump: str
    path: str
    start: int
    end: int | None
    pages: int | None


def find_files(option: str, items: Sequence[str], options: FetchOptions = DEFAULT_OPTIONS) -> Sequence[tuple[str, str]]:
    """Finds the files that an option names: (name, path), sorted by name, each once."""
    try:
        return resolve_files(items, options)
    except InputError as error:
        raise InputError(f"{option}: {error}") from None


def of_one_wiki(files: Sequence[tuple[str, str]], wiki: str) -> Sequence[tuple[str, str]]:
    """Of sums of page views that are laid out by wiki, those of one; any other files as they are.

    Raises:
        InputError: If there are none of it.
    """
    by_wiki = [(_WIKI_FOLDER.search(path), (name, path)) for name, path in files]
    if not any(found for found, _ in by_wiki):
        return files
    chosen = [file for found, file in by_wiki if found and found["wiki"] == wiki]
    if not chosen:
        wikis = sorted({found["wiki"] for found, _ in by_wiki if found})
        raise InputError(
            f"--title-views has no sums of {wiki}, only of {counted(len(wikis), 'wiki')} ({brief(' '.join(wikis))}): "
            "give those of --wiki-language"
        )
    return chosen


def refuse_unreadable(option: str, files: Sequence[tuple[str, str]], options: FetchOptions = DEFAULT_OPTIONS) -> None:
    """Refuses files that are packed in a form that is not read: by their content, whatever their names."""
    for name, path in files:
        with open_archive(path, options) as stream:
            form = unreadable_form(stream.read(START_BYTES))
        if form:
            raise InputError(
                f"{option} {name} is packed as {form}, which is not read: unpack it and give it plain, or packed as "
                "bzip2, gzip, xz or zstd"
            )


def plan_article_dumps(
    items: Sequence[str], options: FetchOptions = DEFAULT_OPTIONS
) -> tuple[list[DumpPart], list[str]]:
    """Cuts multistream dumps with an index beside them at streams; any other dump is one part, with a note."""
    dumps = [(name, path) for name, path in find_files("--articles", items, options) if "-index" not in file_name(path)]
    if not dumps:
        raise ConfigError(f"--articles {' '.join(items)} names only indexes: give the dumps, too")
    parts: list[DumpPart] = []
    notes: list[str] = []
    for name, path in dumps:
        index = _index_beside(path, options)
        if index:
            parts += cut_by_index(name, path, index, PART_BYTES, options)
        else:
            parts.append(DumpPart(name, path, 0, None, None))
            notes.append(f"{name} is read by one task: there is no multistream index beside it")
    return parts, notes


def file_name(path: str) -> str:
    """The file name at the end of a path or URL."""
    return path.rpartition("/")[2]


def _index_beside(dump: str, options: FetchOptions) -> str | None:
    name = file_name(dump)
    if "-multistream" not in name:
        return None
    index = name.replace("-multistream", "-multistream-index").replace(".xml", ".txt")
    path = dump.removesuffix(name) + index
    try:
        size_of_archive(path, options)
    except FileNotFoundError:
        return None
    return path


def cut_by_index(
    name: str, dump: str, index: str, part_bytes: int, options: FetchOptions = DEFAULT_OPTIONS
) -> list[DumpPart]:
    """Cuts a multistream dump where its index says that streams begin, without its head, which holds no page.

    The index has lines of offset, page id and title with colons between, packed or plain. Each part but the last has at
    least `part_bytes`.

    Raises:
        InputError: If the index cannot be read or does not fit the dump.
    """
    parts: list[DumpPart] = []
    with open_archive(dump, options) as stream:
        last = -1
        for offset, pages in _streams_of_index(index, options):
            if not last < offset < stream.size:
                why = f"its offset {offset} lies outside the dump's {stream.size} bytes or out of order"
                raise InputError(_misfit(name, index, why))
            last = offset
            if parts and offset - parts[-1].start < part_bytes:
                parts[-1] = replace(parts[-1], pages=(parts[-1].pages or 0) + pages)
            else:
                parts.append(DumpPart(name, dump, offset, None, pages))
        for part in parts:
            stream.seek(part.start)
            if not BZIP2.start.match(stream.read(START_BYTES)):
                raise InputError(_misfit(name, index, f"no bzip2 stream begins at its offset {part.start}"))
    ends = [*(part.start for part in parts[1:]), None]
    return [replace(part, end=end) for part, end in zip(parts, ends, strict=True)]


def _misfit(name: str, index: str, why: str) -> str:
    return (
        f"the index {index} does not fit {name}: {why}; fetch both of one date, or move the index away to read "
        "the dump with one task"
    )


def _streams_of_index(index: str, options: FetchOptions) -> Iterator[tuple[int, int]]:
    """Reads where streams begin, and how many pages each holds."""
    losses: Counter[str] = Counter()
    offset, pages = -1, 0
    with open_archive(index, options) as stream:
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


def dropped_prefixes(paths: Sequence[str], options: FetchOptions = DEFAULT_OPTIONS) -> frozenset[str]:
    """The prefixes of links to files and categories, in lower case, in each dump's language and in English.

    They are read from the first bytes of the dumps; the English ones are valid in every wiki.
    """
    names = set(FILE_NAMESPACES)
    for path in sorted(set(paths)):
        with open_archive(path, options) as stream:
            head = b""
            for chunk in as_utf8(unpack(read_chunks(stream), Counter())):
                head += chunk
                if len(head) > _HEAD_BYTES or b"</siteinfo>" in head:
                    break
        found = namespace_names(head)
        names |= {found[number].lower() for number in _DROPPED_NAMESPACES if number in found}
    return frozenset(names)


def page_view_format(name: str) -> str:
    """The form, one of `udfs.wikipedia.page_views.FORMS`, that the name of a page-view dump tells."""
    if _HOURLY_NAME.match(name):
        return HOURLY
    if _COMPLETE_NAME.match(name):
        return COMPLETE
    raise ConfigError(
        f"--pageviews {name} is named neither pageviews-YYYYMMDD-HH0000.gz (hourly) nor pageviews-YYYYMM-user.bz2 "
        "(complete): keep the dumps' own names, or give sums with --title-views"
    )
