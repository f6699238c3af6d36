"""Show which size, tail share and head each threshold t would give, without sampling."""

import sys

try:
    from metaclip_spark.commands.inspection import plan_threshold as main
except ModuleNotFoundError as missing:
    if missing.name != "metaclip_spark":
        raise
    sys.stderr.write(
        f"error: metaclip-spark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
