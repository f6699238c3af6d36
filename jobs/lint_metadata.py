"""Check a metadata list for entries that cannot match, repeat others or deserve a look."""

import sys

try:
    from metaclip_spark.commands.metadata import lint_metadata as main
except ModuleNotFoundError as missing:
    if missing.name != "metaclip_spark":
        raise
    sys.stderr.write(
        f"error: metaclip-spark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
