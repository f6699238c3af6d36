"""Train CLIP, SLIP, FILIP, DeCLIP and DeFILIP on arms of a pool, evaluate them, and write a page that compares."""

import sys

try:
    from metaclip_spark.commands.clip_benchmark import benchmark_clip as main
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
