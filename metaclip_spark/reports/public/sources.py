"""Where a run's pairs come from: crawls and days of capture, by the names of its archives."""

import re
from collections.abc import Iterable

import pyarrow as pa

from metaclip_spark.reports.records import Sources
from metaclip_spark.runs.run import Run
from udfs.schemas import ARCHIVES

_CRAWL = re.compile(r"(?:^|/)(CC-MAIN-\d{4}-\d{2}|CC-NEWS)(?=/|-\d)")
_TIMES = re.compile(r"(?:^|/)CC-[A-Z]+-(\d{8})\d{6}(?:-(\d{8})\d{6})?-")


def read_sources(run: Run) -> Sources:
    """Reads what the names of a run's archives tell."""
    names = run.read_rows("archives", pa.schema([ARCHIVES.field("archive")]))["archive"]
    return sources_of(names.to_pylist())


def sources_of(archives: Iterable[str]) -> Sources:
    """Finds crawls and days in names as Common Crawl gives them."""
    names = list(archives)
    crawls = {found[1] for name in names if (found := _CRAWL.search(name))}
    times = [found for name in names if (found := _TIMES.search(name))]
    days = sorted({day for found in times for day in found.groups() if day})
    return Sources(
        files=len(names),
        dated=len(times),
        crawls=sorted(crawls),
        first=_day(days[0]) if days else "",
        last=_day(days[-1]) if days else "",
    )


def _day(digits: str) -> str:
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
