"""Check a metadata list for entries that cannot match, repeat others or deserve a look."""

import sys

from metaclip_spark.commands.metadata import lint_metadata as main

if __name__ == "__main__":
    sys.exit(main())
