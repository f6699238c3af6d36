"""Write webdataset shards from pairs (curated/, matched/, pool/) and downloaded images, and count what was lost."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.clip_benchmark.data.make_shards import ShardsConfig, make_shards
from metaclip_spark.config.command_line import parse_configs, run_job


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_make, argv))


def _make(argv: Sequence[str] | None) -> None:
    (config,) = parse_configs(argv, __doc__, ShardsConfig)
    made = make_shards(config)
    sys.stdout.write("\n".join([*made.lines(), f"wrote {config.output}", ""]))


if __name__ == "__main__":
    sys.exit(main())
