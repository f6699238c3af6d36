"""Builds the archive for `--py-files`: both packages, the same bytes from the same sources.

Usage: python .ci/build_zip.py [build/metaclip_spark.zip]
"""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("metaclip_spark", "udfs")
EARLIEST_DATE = (1980, 1, 1, 0, 0, 0)
"""The zip format's first date: a fixed one keeps the bytes the same."""


def build_zip(target: Path) -> None:
    """Writes every Python module and data file of both packages into one zip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w") as archive:
        for path in files:
            if "__pycache__" not in path.parts:
                member = zipfile.ZipInfo(path.relative_to(ROOT).as_posix(), EARLIEST_DATE)
                member.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(member, path.read_bytes())


if __name__ == "__main__":
    build_zip(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "metaclip_spark.zip")
