import pytest

from tests.support.paths import CHECKOUT


@pytest.fixture(scope="session")
def demo(spark, tmp_path_factory):
    """A folder that looks like the checkout after `make demo`: the sample's run is in demo-output."""
    from metaclip_spark import curate

    folder = tmp_path_factory.mktemp("demo")
    (folder / "tests").symlink_to(CHECKOUT / "tests")
    curate(
        folder / "tests" / "data" / "sample" / "*.warc.gz",
        metadata=folder / "tests" / "data" / "wordnet_lemmas.txt.gz",
        output=folder / "demo-output",
        threshold_t=20,
        identify_language=True,
        spark=spark,
    )
    return folder
