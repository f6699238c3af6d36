"""Compare two metadata lists: what was added and removed, per source."""

import sys

try:
    from metaclip_spark.commands.metadata import diff_metadata as main
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
