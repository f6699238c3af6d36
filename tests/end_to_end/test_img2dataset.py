"""A real img2dataset asks a server that answers well, slowly, with a refusal or with a page; its Parquet is the rule's.

`make test-download` gives it an environment of its own.
"""

import pyarrow.parquet as pq
import pytest

from metaclip_spark.inputs.downloads import check_tally, find_downloads
from metaclip_spark.steps.exclusion.downloaded import download_reasons, pair_downloads, tally_downloads
from metaclip_spark.steps.exclusion.user_tables import read_user_table
from tests.support.image_server import image_server
from tests.support.img2dataset_run import PROGRAM, download, pairs_at

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="img2dataset is not installed: make test-download")

ERRORS = {"http_404": 2, "not_an_image": 2, "opted_out": 2, "timeout": 2, "connection": 1, "no_such_host": 1}


def test_what_img2dataset_downloaded_is_what_stays(spark, tmp_path):
    with image_server() as server:
        table = pairs_at(server)
        pq.write_table(table, tmp_path / "pairs.parquet")
        download(tmp_path / "pairs.parquet", tmp_path / "images")
        asked = dict(server.requests)
    assert asked == {"good": 3, "missing": 2, "slow": 2, "opted-out": 2, "page": 2}
    assert list(tmp_path.glob("images/*.tar"))
    found = find_downloads([str(tmp_path / "images")])
    matched = spark.read.parquet(str(tmp_path / "pairs.parquet"))
    downloads = read_user_table(spark, found.table)
    judged = download_reasons(matched, pair_downloads(matched, downloads, found.key)).collect()
    good = {row["pair_id"] for row in table.to_pylist() if "/good/" in row["image_url"]}
    assert {row.pair_id for row in judged if row.download_reason is None} == good
    assert {row.download_reason for row in judged if row.pair_id not in good} == {"image.download_failed"}
    assert len({row.image_hash for row in judged if row.pair_id in good}) == 2
    tally = tally_downloads(matched, downloads, found.key)
    check_tally(tally)
    assert tally.failed == ERRORS
