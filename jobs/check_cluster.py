"""Check on the executors whether a run would work there, and how long it would take, before hours are spent."""

import sys

from metaclip_spark.commands.curation import check_cluster as main

if __name__ == "__main__":
    sys.exit(main())
