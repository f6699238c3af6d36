"""Write the report of a run and run.json, which makes the run finished; or one page over many runs (--index)."""

import sys

try:
    from metaclip_spark.commands.curation import report_curation as main
except ModuleNotFoundError as missing:
    if missing.name != "metaclip_spark":
        raise
    sys.stderr.write(
        f"error: metaclip-spark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
