"""Say why a pair is in the curated set of a run, or at which step it left."""

import sys

from metaclip_spark.commands.inspection import explain_pair as main

if __name__ == "__main__":
    sys.exit(main())
