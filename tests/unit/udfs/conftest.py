"""What holds for the tests of the worker's packages."""

import pytest

from udfs.pairs.loop import KERNELS


@pytest.fixture(autouse=True, scope="session")
def kernels():
    """The kernels of extraction, which else are used once they are there."""
    KERNELS.compile()
