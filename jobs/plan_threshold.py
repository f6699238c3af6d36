"""Show which size, tail share and head each threshold t would give, without sampling."""

import sys

from metaclip_spark.commands.inspection import plan_threshold as main

if __name__ == "__main__":
    sys.exit(main())
