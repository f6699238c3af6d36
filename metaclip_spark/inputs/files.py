"""From what a user names (files, globs, folders, path lists) to the archives that extraction reads."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import InputError, SchemaMismatchError, counted, joined
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import files_of_url, matches_pattern, read_path_list, with_ending
from udfs.schemas import OPTIONAL_COLUMNS, PAIRS
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive, scheme_of
from udfs.sources.credentials import bare_url, has_ending, without_credentials

ARCHIVE_ENDINGS = tuple(kind + compression for kind in (".warc", ".wat", ".arc") for compression in ("", ".gz", ".zst"))
POOL_ENDINGS = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst")
NAMED_FILES = 5
PATH_LIST_ENDINGS = (".paths", ".paths.gz", ".txt", ".txt.gz")
_FOOTERS_AT_ONCE = 32
_ATTEMPTS_AT_FOOTER = 2


def resolve_archives(
    named: Sequence[str], prefix: str = "", options: FetchOptions = DEFAULT_OPTIONS
) -> list[ArchivePath]:
    """Finds the archives that `--archives` names.

    Args:
        named: Files, globs, folders, or path lists (recognised by `PATH_LIST_ENDINGS`).
        prefix: Put before each relative line of a path list.
        options: How remote stores are reached.

    Returns:
        (archive, path) in UTF-8 order of archive: the name that results carry, and where the file lies. The name of a
        line of a path list is the line itself, a URL without user info and query; of a folder's or glob's file its path
        below that folder or the glob's fixed part; of a file its own name.

    Raises:
        InputError: If something named is not there, or two paths have one name. A missing line of a path list is no
            error here: it becomes a failed archive.
    """
    found: list[ArchivePath] = []
    for item in named:
        if has_ending(item, PATH_LIST_ENDINGS):
            found += _lines_of_path_list(item, prefix, options)
        else:
            found += _files_named(item, ARCHIVE_ENDINGS, options)
    return _distinct(found)


def resolve_pool(
    named: Sequence[str],
    options: FetchOptions = DEFAULT_OPTIONS,
    stored: Mapping[str, list[ArchivePath]] | None = None,
) -> list[ArchivePath]:
    """Finds the files that `--pool` names.

    Args:
        named: Parquet or JSONL files, globs or folders; hidden files and those that begin with "_" are left out.
        options: How remote stores are reached.
        stored: The files of an item of `named` where they are known.

    Returns:
        (archive, path), as `resolve_archives`.

    Raises:
        InputError: If something named is not there, has another ending, or two paths have one name.
    """
    known = stored or {}
    found = [
        pair for item in named for pair in (known[item] if item in known else _files_named(item, POOL_ENDINGS, options))
    ]
    for _, path in found:
        if not has_ending(path, POOL_ENDINGS):
            raise InputError(
                f"--pool {without_credentials(path)} does not end with {joined(POOL_ENDINGS, 'or')}: "
                "convert or rename it"
            )
    return _distinct(found)


def check_pool_files(
    paths: list[ArchivePath],
    *,
    url_column: str,
    text_column: str,
    language_column: str | None = None,
    options: FetchOptions = DEFAULT_OPTIONS,
) -> None:
    """Checks the footers of all Parquet files before work starts.

    Args:
        paths: (archive, path) from `resolve_pool`.
        url_column: The column that must hold the image's URL.
        text_column: The column that must hold the alternative text.
        language_column: The column that must hold the text's language, where one is named.
        options: How remote stores are reached.

    Raises:
        SchemaMismatchError: If files lack a column, have it with a type that is no string, or have no footer; or if
            they have one of `udfs.schemas.OPTIONAL_COLUMNS` with another type.
    """
    columns = (url_column, text_column, *([language_column] if language_column else []))
    of_language = " and --language-column" if language_column else ""
    tables = [path for _, path in paths if has_ending(path, (".parquet",))]
    # A store that does not answer is asked with patience by the worker, which fails the file by name.
    hasty = replace(options, attempts=min(options.attempts, _ATTEMPTS_AT_FOOTER))
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        problems = pool.map(partial(_problem_of_footer, columns=columns, options=hasty), tables)
        wrong = [
            f"{without_credentials(path)} ({problem})"
            for path, problem in zip(tables, problems, strict=True)
            if problem is not None
        ]
    if wrong:
        more = f" and {len(wrong) - NAMED_FILES} more" if len(wrong) > NAMED_FILES else ""
        raise SchemaMismatchError(
            f"--pool: {len(wrong):,} of {counted(len(paths), 'file')} cannot be used: "
            f"{'; '.join(wrong[:NAMED_FILES])}{more}. "
            f"Name the columns with --url-column and --text-column{of_language}, or leave those files out"
        )


def _problem_of_footer(path: str, columns: tuple[str, ...], options: FetchOptions) -> str | None:
    try:
        with open_archive(path, options) as stream:
            schema = pq.read_schema(pa.PythonFile(stream, mode="r"))
    except FileNotFoundError:
        return "no such file"
    except (OSError, ValueError) as error:
        is_unreachable = scheme_of(path) != "file" and not isinstance(error, pa.ArrowInvalid)
        return None if is_unreachable else "no Parquet footer: empty or half-written"
    optional = [name for name in OPTIONAL_COLUMNS if name in schema.names and name not in columns]
    twice = [name for name in (*columns, *optional) if schema.names.count(name) > 1]
    if twice:
        return f"two columns {', '.join(twice)}"
    missing = [name for name in columns if name not in schema.names]
    if missing:
        return f"no column {', '.join(missing)}; it has {', '.join(schema.names)}"
    other = [f"{name} is {schema.field(name).type}" for name in columns if not _is_text(schema.field(name).type)]
    if other:
        return f"{', '.join(other)}, not a string"
    return next((problem for name in optional if (problem := _problem_of_optional(schema.field(name)))), None)


def _problem_of_optional(field: pa.Field) -> str | None:
    wanted = PAIRS.field(field.name).type
    fits = _is_text(field.type) if pa.types.is_string(wanted) else field.type == wanted
    # A column of nulls alone may have no type.
    return (
        None
        if fits or pa.types.is_null(field.type)
        else f"{field.name} is {field.type}, not {wanted}: cast the column, or rename it"
    )


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def resolve_files(
    named: Sequence[str], options: FetchOptions = DEFAULT_OPTIONS, endings: tuple[str, ...] = ("",)
) -> list[ArchivePath]:
    """Finds files of any kind.

    Args:
        named: Files, globs or folders; hidden files and those that begin with "_" are left out.
        options: How remote stores are reached.
        endings: What a folder's files must end with, in lower case; files may have it in upper case too.

    Returns:
        (name, path), as `resolve_archives`.

    Raises:
        InputError: If something named is not there, or two paths have one name.
    """
    return _distinct([pair for item in named for pair in _files_named(item, endings, options)])


def _files_named(item: str, endings: tuple[str, ...], options: FetchOptions) -> list[ArchivePath]:
    if scheme_of(item) != "file":
        return files_of_url(item, endings, options)
    try:
        path = Path(item.removeprefix("file://")).expanduser()
    except RuntimeError as error:
        raise InputError(f"{item}: {error}") from None
    if path.is_dir():
        return _files_below(path, endings)
    if path.exists():
        return [ArchivePath(path.name, str(path.absolute()))]
    if glob.has_magic(str(path)):
        return _files_of_glob(path, endings)
    raise InputError(f"{item}: no such file or folder")


def _files_below(folder: Path, endings: tuple[str, ...]) -> list[ArchivePath]:
    files = [
        ArchivePath(path.relative_to(folder).as_posix(), str(path.absolute()))
        for path in _walk(folder)
        if path.name.lower().endswith(endings) and path.is_file()
    ]
    if not files:
        raise InputError(f"{folder} holds no file{with_ending(endings)}")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """Yields what lies below a folder and is no folder, but for what is hidden.

    Links to folders are followed. Each folder is read once, which ends cycles: under its own name where that lies below
    `folder`, else through the first link that leads to it.
    """
    seen: set[str] = set()
    starts = [folder]
    while starts:
        links: list[Path] = []
        for parent, folders, files in chain.from_iterable(map(os.walk, starts)):
            here = Path(parent)
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [name for name in folders if name[0] not in "._"]
            links += [here / name for name in folders if (here / name).is_symlink()]
            yield from (here / name for name in files if name[0] not in "._")
        starts = sorted(links)


def _is_hidden(below: Path) -> bool:
    """Tells whether a path lies in what another job has not committed, or hides."""
    return any(part[0] in "._" for part in below.parts)


def _files_of_glob(pattern: Path, endings: tuple[str, ...]) -> list[ArchivePath]:
    first_magic = next(place for place, part in enumerate(pattern.parts) if glob.has_magic(part))
    root = Path(*pattern.parts[:first_magic])
    parts = pattern.parts[first_magic:]
    found: list[ArchivePath] = []
    if "**" in parts:
        found = [
            ArchivePath(path.relative_to(root).as_posix(), str(path.absolute()))
            for path in _walk(root)
            if matches_pattern(path.relative_to(root).parts, parts) and path.is_file()
        ]
    else:
        try:
            paths = list(root.glob(str(PurePosixPath(*parts))))
        except ValueError as error:
            raise InputError(f"{pattern} is not a pattern: {error}") from None
        for path in paths:
            below = path.relative_to(root)
            if path.is_dir():
                found += [ArchivePath((below / name).as_posix(), inner) for name, inner in _files_below(path, endings)]
            elif path.is_file() and not _is_hidden(below):
                found.append(ArchivePath(below.as_posix(), str(path.absolute())))
    if not found:
        raise InputError(f"{pattern} matches no file: check the pattern")
    return found


def _lines_of_path_list(item: str, prefix: str, options: FetchOptions) -> list[ArchivePath]:
    if scheme_of(item) == "file" and not Path(item.removeprefix("file://")).is_file():
        raise InputError(f"{item}: no such file")
    lines = [line for line in read_path_list(item, options) if not line.startswith("#")]
    return [ArchivePath(bare_url(line), _located(line, prefix)) for line in lines]


def _located(line: str, prefix: str) -> str:
    if "://" in line or PurePosixPath(line).is_absolute() or not prefix:
        return line
    return f"{prefix.rstrip('/')}/{line}"


def _distinct(found: list[ArchivePath]) -> list[ArchivePath]:
    located: dict[str, str] = {}
    for archive, path in _once_each(found):
        if located.setdefault(archive, path) != path:
            raise InputError(_of_one_name(archive, located[archive], path))
    if not located:
        raise InputError("names no file: check the list")
    return [ArchivePath(*item) for item in sorted(located.items(), key=lambda item: item[0].encode())]


def _of_one_name(archive: str, first: str, second: str) -> str:
    if bare_url(first) == bare_url(second):
        return (
            f"{bare_url(first)} is named twice, with another user info or query, which may hold credentials and so are "
            "no part of the names in the results: give each file once, by a path of its own"
        )
    return (
        f"{without_credentials(first)} and {without_credentials(second)} would both be called {archive} in the "
        "results: name a folder above both, or give them in two runs"
    )


def _once_each(found: list[ArchivePath]) -> list[ArchivePath]:
    """Keeps one name of each file, however many ways led to it: read twice it would count twice.

    A name by which fewest links to folders are followed stays, whatever links are made; of those the smallest.

    Raises:
        InputError: If a name is not UTF-8.
    """
    names: dict[str, ArchivePath] = {}
    for each in found:
        archive, path = each
        try:
            real = path if "://" in path else os.path.realpath(path)
            before = names.get(real, each)
            archive.encode()
        except UnicodeEncodeError:
            raise InputError(f"{archive!r} is not UTF-8: rename the file") from None
        names[real] = before if before[0] == archive else min(before, each, key=_rank)
    return list(names.values())


def _rank(named: ArchivePath) -> tuple[int, bytes]:
    archive, path = named
    return sum(map(os.path.islink, Path(path).parents)), archive.encode()
