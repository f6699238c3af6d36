"""Unfinished uploads of earlier drivers are aborted where the user says so, and those of a later driver never."""

from types import SimpleNamespace

import pytest

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.runs.open import _tidy_uploads
from metaclip_spark.stores.storage import Storage
from tests.support.s3_server import new_bucket, s3_server
from udfs.sources import FetchOptions

EARLIER = "run/pool/bucket=000/00000002-0a0a0a0a/part-0.parquet"
OWN = "run/extracted/wave=00000003-0b0b0b0b/kind=pair/part-0.parquet"
LATER = "run/curated-00000007-0c0c0c0c/part-0.parquet"
OF_LAYOUT_1 = "run/pool/part-0.parquet"


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        yield new_bucket(endpoint)


@pytest.mark.parametrize(
    ("clean", "left"), [(True, {OWN, LATER}), (False, {EARLIER, OWN, LATER, OF_LAYOUT_1})], ids=["clean", "tell"]
)
def test_uploads_that_a_later_driver_may_still_complete_are_left_alone(bucket, clean, left):
    for key in (EARLIER, OWN, LATER, OF_LAYOUT_1):
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    root = f"s3://{bucket.name}/run"
    storage = Storage(root, FetchOptions(s3_endpoint=bucket.endpoint))
    output = OutputConfig(output=root, clean=clean)
    _tidy_uploads(SimpleNamespace(storage=storage, output=output, owned=SimpleNamespace(opened=3)))
    assert {key for key, _ in storage.uploads.unfinished_uploads()} == left
