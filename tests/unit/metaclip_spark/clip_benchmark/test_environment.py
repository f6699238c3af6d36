import importlib

import pytest


@pytest.mark.parametrize(
    "library", ["torch", "torchvision", "open_clip", "safetensors", "webdataset", "scipy", "sklearn"]
)
def test_the_extra_brings_what_the_benchmark_imports(library):
    assert importlib.import_module(library)
