"""Curate a balanced image-text dataset: extract, match, count, sample and report in one command."""

import sys

try:
    from metaclip_spark.commands.curation import curate as main
except ModuleNotFoundError as missing:
    name = missing.name or ""
    if not name or name.startswith(("metaclip_spark.", "udfs.")):
        raise
    package = "metaclip-spark" if name in {"metaclip_spark", "udfs"} else name.partition(".")[0]
    sys.stderr.write(
        f"error: {package} is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
