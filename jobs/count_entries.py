"""Count the metadata entries in the matched pairs of a run."""

import sys

from metaclip_spark.commands.curation import count_entries as main

if __name__ == "__main__":
    sys.exit(main())
