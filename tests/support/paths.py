"""Where the checkout and the data of the tests are."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
DATA = CHECKOUT / "tests" / "data"
SAMPLE_FOLDER = DATA / "sample"
