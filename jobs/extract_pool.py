"""Extract pairs from archives (or read them from files) and deduplicate them into the pool."""

import sys

from metaclip_spark.commands.curation import extract_pool as main

if __name__ == "__main__":
    sys.exit(main())
