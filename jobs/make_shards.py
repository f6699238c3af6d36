"""Write webdataset shards from pairs, of a run or of files, and downloaded images, and count what was lost."""

import sys

try:
    from metaclip_spark.commands.clip_benchmark import make_shards as main
except ModuleNotFoundError as missing:
    if missing.name != "metaclip_spark":
        raise
    sys.stderr.write(
        f"error: metaclip-spark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
