"""Match the pool of a run against a metadata list."""

import sys

from metaclip_spark.commands.curation import match_pool as main

if __name__ == "__main__":
    sys.exit(main())
