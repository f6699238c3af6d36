"""Train CLIP, SLIP, FILIP, DeCLIP and DeFILIP on arms of a pool, evaluate them, and write a page that compares."""

import sys

from metaclip_spark.commands.clip_benchmark import benchmark_clip as main

if __name__ == "__main__":
    sys.exit(main())
