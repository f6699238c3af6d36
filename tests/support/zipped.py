"""The worker's package as `spark-submit --py-files` brings it."""

import zipfile
from pathlib import Path

from tests.support.paths import CHECKOUT


def in_a_zip(folder: Path) -> Path:
    archive = folder / "packages.zip"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive, "w") as packed:
        for module in sorted((CHECKOUT / "udfs").rglob("*.py")):
            packed.write(module, module.relative_to(CHECKOUT))
    return archive
