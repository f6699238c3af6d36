"""Build one metadata list per language from a plan; lists that are done are kept."""

import sys
from contextlib import suppress

try:
    from metaclip_spark.commands.metadata import build_worldwide as main
except ModuleNotFoundError as missing:
    name = missing.name or ""
    if not name or name.startswith(("metaclip_spark.", "udfs.")):
        raise
    package = "metaclip-spark" if name in {"metaclip_spark", "udfs"} else name.partition(".")[0]
    line = f"{package} is not installed for {sys.executable}: activate .venv or pip install '.[spark]'"
    sys.stderr.write(f"error: {line}\n")
    with suppress(ImportError):
        from metaclip_spark.yarn import end_application

        end_application(line, final=False)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
