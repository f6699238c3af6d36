"""What the names of archives tell of crawls and days."""

import msgspec
import pytest

from metaclip_spark.reports.public.sources import sources_of

CRAWL = "crawl-data/CC-MAIN-2024-10/segments/1707947473347.0/warc/CC-MAIN-20240220211055-20240221001055-00000.warc.gz"
NEWS = "crawl-data/CC-NEWS/2016/08/CC-NEWS-20160826124520-00000.warc.gz"


@pytest.mark.parametrize(
    ("names", "crawls", "first", "last", "dated"),
    [
        ([CRAWL], ["CC-MAIN-2024-10"], "2024-02-20", "2024-02-21", 1),
        ([CRAWL.rpartition("/")[2]], [], "2024-02-20", "2024-02-21", 1),
        ([NEWS, CRAWL, "mine.warc.gz"], ["CC-MAIN-2024-10", "CC-NEWS"], "2016-08-26", "2024-02-21", 2),
        (["CC-MAIN-2013-20/file.warc.gz"], ["CC-MAIN-2013-20"], "", "", 0),
        (["XCC-MAIN-20240220211055-00000.warc.gz", "pool.parquet"], [], "", "", 0),
        ([], [], "", "", 0),
    ],
)
def test_crawls_and_days(names, crawls, first, last, dated):
    assert msgspec.to_builtins(sources_of(names)) == {
        "files": len(names),
        "dated": dated,
        "crawls": crawls,
        "first": first,
        "last": last,
    }
