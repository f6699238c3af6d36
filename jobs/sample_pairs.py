"""Draw the curated set of a run from its matched pairs and entry counts."""

import sys

from metaclip_spark.commands.curation import sample_pairs as main

if __name__ == "__main__":
    sys.exit(main())
