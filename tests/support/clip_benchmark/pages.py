"""The module that writes the lines on the CLIP benchmark, and a checkout for it to write to."""

import importlib.util
import shutil
import sys

from tests.support.paths import CHECKOUT


def load_clip_pages():
    """Loads .ci/clip_pages.py, which lies in no package."""
    if "clip_pages" not in sys.modules:
        specification = importlib.util.spec_from_file_location("clip_pages", CHECKOUT / ".ci" / "clip_pages.py")
        module = importlib.util.module_from_spec(specification)
        sys.modules["clip_pages"] = module
        specification.loader.exec_module(module)
    return sys.modules["clip_pages"]


def checkout_to_write_to(folder):
    """Copies what the module changes."""
    for name in ("README.md", "docs/clip-benchmark/results.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, folder / name)
    (folder / "tests" / "benchmarks").mkdir(parents=True)
    return folder
