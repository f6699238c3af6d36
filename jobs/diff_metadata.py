"""Compare two metadata lists: what was added and removed, per source."""

import sys

from metaclip_spark.commands.metadata import diff_metadata as main

if __name__ == "__main__":
    sys.exit(main())
