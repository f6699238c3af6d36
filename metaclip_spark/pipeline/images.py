"""The table curated_images, which the sample step writes beside the curated set where it is asked for."""

from pyspark.sql import functions as F

from metaclip_spark.runs.layout import CURATED, CURATED_IMAGES
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.runs.step import Attempt
from metaclip_spark.steps.sample import group_by_image
from udfs.schemas import CURATED as CURATED_COLUMNS
from udfs.schemas import CURATED_IMAGES as IMAGE_COLUMNS


def write_images(run: Run, attempt: Attempt) -> int:
    """Writes the pairs that an attempt at the sample step has written once more, with one row per image.

    Returns:
        The number of images.

    Raises:
        InputError: If the rows hold another number of pairs than were written.
    """
    curated = run.read_written([attempt.tables[CURATED]], CURATED_COLUMNS)
    partitions = run.partitions(attempt.tables[CURATED].rows)
    images = attempt.write(group_by_image(curated, partitions), CURATED_IMAGES)
    pairs = run.read_written([attempt.tables[CURATED_IMAGES]], IMAGE_COLUMNS).agg(F.sum(F.size("pair_ids"))).first()
    check_number((pairs and pairs[0]) or 0, attempt.tables[CURATED].rows, f"pairs in {CURATED_IMAGES}")
    return images
