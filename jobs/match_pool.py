"""Match the pool of a run against a metadata list."""

import sys

try:
    from metaclip_spark.commands.curation import match_pool as main
except ModuleNotFoundError as missing:
    if missing.name != "metaclip_spark":
        raise
    sys.stderr.write(
        f"error: metaclip-spark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
