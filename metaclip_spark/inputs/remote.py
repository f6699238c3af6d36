"""Archives and path lists that lie on S3, on the web or behind fsspec."""

import fnmatch
import glob
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import boto3

from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.errors import InputError, counted
from metaclip_spark.inputs.archive_path import ArchivePath
from udfs.sources import FetchOptions, aws_region, environment_options, open_archive, scheme_of, stat_archive
from udfs.sources import https as fetch_https
from udfs.sources import s3 as fetch_s3
from udfs.sources.compression import decompress_whole
from udfs.sources.credentials import bare_url, without_credentials, without_query
from udfs.sources.fetch import credentials_hidden
from udfs.sources.fsspec_stores import files_below, filesystem_of, named

COMMON_CRAWL_S3 = "s3://commoncrawl"
COMMON_CRAWL_HTTPS = "https://data.commoncrawl.org"
COMMON_CRAWL_REGION = "us-east-1"
_CRAWL = re.compile(r"CC-[A-Z0-9-]+")


def fetch_options(config: ExtractConfig) -> FetchOptions:
    """Gives how the archives of a run are reached.

    Args:
        config: The extract step's configuration.

    Returns:
        Options for the driver and the workers.
    """
    return environment_options(config.s3_access)


def files_of_url(item: str, endings: tuple[str, ...], options: FetchOptions) -> list[ArchivePath]:
    """Finds the archives behind a URL: a file, a glob or, with "/" at its end or no file of that name, a folder.

    Args:
        item: s3://, https:// (a file only), or a scheme of fsspec.
        endings: What a folder's files must end with, in lower case; files may have it in upper case too.
        options: How it is reached.

    Returns:
        (archive, path); a folder's or glob's names are relative to its fixed part, as with local files.

    Raises:
        InputError: If there is nothing, or it may not be listed.
    """
    scheme = scheme_of(item)
    try:
        if scheme in fetch_https.SCHEMES:
            stat_archive(item, options)
            return [ArchivePath(PurePosixPath(bare_url(item)).name, item)]
        if scheme in fetch_s3.SCHEMES:
            found = _files_of_s3(item, endings, options)
        else:
            with credentials_hidden(item), named(item):
                found = _files_of_fsspec(item, endings)
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from None
    if not found:
        raise InputError(f"{without_credentials(item)} names no file{with_ending(endings)}: check bucket and path")
    return found


def with_ending(endings: tuple[str, ...]) -> str:
    """Says what files must end with, behind the word "file".

    Args:
        endings: The endings; an empty one allows any.

    Returns:
        A clause, or nothing.
    """
    return "" if "" in endings else f" that ends with one of {', '.join(endings)}"


def _files_of_s3(item: str, endings: tuple[str, ...], options: FetchOptions) -> list[ArchivePath]:
    bucket, key = fetch_s3.split_s3(item)
    start = f"{scheme_of(item)}://{bucket}"
    listed = list(fetch_s3.list_s3(f"{start}/{_fixed_part(key)}", options))
    if key in {name for name, _ in listed}:
        # A name may hold what looks like a pattern.
        return [ArchivePath(PurePosixPath(key).name, item)]
    return [
        ArchivePath(below, f"{start}/{name}") for name, below in _chosen([name for name, _ in listed], key, endings)
    ]


def _files_of_fsspec(item: str, endings: tuple[str, ...]) -> list[ArchivePath]:
    filesystem, key = filesystem_of(item)
    is_file = _is_file(filesystem, key)
    query = _query_of(item)
    if without_query(item) != item:
        # Some file systems take a query for a part of the name, others a pattern's "?" for the start of one.
        key = f"{key.partition('?')[0]}{item.removeprefix(without_query(item)).removesuffix(query)}"
    if is_file:
        return [ArchivePath(PurePosixPath(key).name, item)]
    if glob.has_magic(key):
        fixed = _fixed_part(key)
        root = fixed if fixed.endswith("/") else f"{fixed.rpartition('/')[0]}/"
        below = key[len(root) :]
        names = files_below(filesystem, root, None if "**" in below.split("/") else below.count("/") + 1)
    else:
        names = files_below(filesystem, key)
    chosen = _chosen(names, key, endings)
    return [ArchivePath(below, _located(filesystem, name, item.removesuffix(query), key, query))
            for name, below in chosen]  # fmt: skip


def _query_of(item: str) -> str:
    """Gives the query of a URL and what follows it: values have names there, which a pattern's "?" has not."""
    rest = item.removeprefix(without_query(item))
    return "" if rest.startswith("?") and "=" not in rest.partition("/")[0] else rest


def _is_file(filesystem: Any, key: str) -> bool:
    """Tells whether there is such a file; unlike fsspec's `isfile` it does not take a refused connection for a no."""
    try:
        return bool(filesystem.info(key)["type"] == "file")
    except FileNotFoundError:
        return False


def _located(filesystem: Any, name: str, listed: str, key: str, query: str) -> str:
    """Gives the URL of a listed file: user info, host and query are those of the URL that was listed."""
    scheme, _, rest = listed.partition("://")
    host, slash, path = rest.partition("/")
    path = f"{slash}{path}".rstrip("/")
    # The key may begin with a bucket or container, which the URL has in the place of the host.
    listed_key = key.rstrip("/")
    start = listed_key.removesuffix(path)
    if "::" in listed or not listed_key.endswith(path) or not name.startswith(start):
        return str(filesystem.unstrip_protocol(name))
    return f"{scheme}://{host}/{name.removeprefix(start).removeprefix('/')}{query}"


def _fixed_part(key: str) -> str:
    magic = re.search(r"[*?[]", key)
    return key[: magic.start()] if magic else key


def _chosen(names: list[str], key: str, endings: tuple[str, ...]) -> list[tuple[str, str]]:
    """Chooses names by a pattern or below a folder; gives them with what stands behind the fixed part."""
    # The keys of some file systems begin with "/".
    if glob.has_magic(key):
        fixed = _fixed_part(key)
        root = fixed[: fixed.rfind("/") + 1]
        # As with local globs a star stays within one folder.
        parts = key.split("/")
        names = [name for name in names if matches_pattern(name.split("/"), parts)]
    else:
        root = f"{key.rstrip('/')}/" if key.rstrip("/") else key[:1]
        names = [name for name in names if name.startswith(root)]
    below = [(name, name.removeprefix(root)) for name in names if name.lower().endswith(endings)]
    return [(name, short) for name, short in below if not any(part[:1] in {".", "_"} for part in short.split("/"))]


def matches_pattern(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tells whether a path matches a glob.

    Args:
        parts: The path's names.
        pattern: The glob's; "**" stands for any number of folders.

    Returns:
        True if it does.
    """
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return matches_pattern(parts, pattern[1:]) or matches_pattern(parts[1:], pattern)
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and matches_pattern(parts[1:], pattern[1:])


def read_whole(path: str, options: FetchOptions) -> bytes:
    """Reads a small file, such as a path list.

    Args:
        path: A local path or a URL.
        options: How it is reached.

    Returns:
        Its content, decompressed.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with open_archive(path, options) as stream:
            return decompress_whole(stream.read())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{without_credentials(path)} cannot be read ({error}): check the path, or fetch it again"
        ) from None


def read_path_list(path: str, options: FetchOptions) -> list[str]:
    """Reads the lines of a path list.

    Args:
        path: A local path or a URL; the list may be gzip.
        options: How it is reached.

    Returns:
        Its lines, cut at LF or CRLF: any other character may stand in a name. Empty lines are left out.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        text = read_whole(path, options).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{without_credentials(path)} cannot be read ({error}): fetch the path list again") from None
    lines = [line.strip(" \t\r") for line in text.split("\n")]
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise InputError(
                f"{without_credentials(path)}, line {number}, holds a NUL character: fetch the path list again"
            )
    return [line for line in lines if line]


def resolve_crawl(config: ExtractConfig, options: FetchOptions) -> list[ArchivePath]:
    """Finds the archives of a crawl by Common Crawl's own path list.

    Args:
        config: Names the crawl; `archives_prefix`, where given, stands for Common Crawl's bucket (a mirror).
        options: How it is reached.

    Returns:
        (archive, path) in the order of the names.

    Raises:
        InputError: If there is no such crawl, or the part that is asked for is empty.
    """
    crawl = config.crawl or ""
    if not _CRAWL.fullmatch(crawl):
        raise InputError(f"--crawl {crawl} is not a crawl of Common Crawl: give a name such as CC-MAIN-2024-10")
    base = (config.archives_prefix or _common_crawl()).rstrip("/")
    path_list = f"{base}/crawl-data/{crawl}/{config.archive_type}.paths.gz"
    lines = read_path_list(path_list, options)
    end = config.offset + config.limit if config.limit else len(lines)
    chosen = lines[config.offset : end]
    if not chosen:
        shown = without_credentials(path_list)
        raise InputError(f"--offset {config.offset} leaves none of the {counted(len(lines), 'line')} of {shown}")
    return sorted((ArchivePath(line, f"{base}/{line}") for line in chosen), key=lambda item: item.archive.encode())


def _common_crawl() -> str:
    """Common Crawl's bucket where there are credentials, since it wants signed requests; else its web site."""
    return COMMON_CRAWL_S3 if boto3.session.Session().get_credentials() else COMMON_CRAWL_HTTPS


def region_warning(paths: list[ArchivePath]) -> str | None:
    """Warns where Common Crawl is read from another region than its own.

    Args:
        paths: (archive, path).

    Returns:
        A line, or None.
    """
    here = aws_region()
    from_there = any(path.startswith(f"{COMMON_CRAWL_S3}/") for _, path in paths[:1])
    if not from_there or here in {None, COMMON_CRAWL_REGION}:
        return None
    return (
        f"warning: Common Crawl lies in {COMMON_CRAWL_REGION}, this machine in {here}: run there, since traffic "
        "between regions is slow and billed"
    )
