"""Show the path of a finished run's table, for programs and shells: one line, or one for each bucket."""

import sys

from metaclip_spark.commands.inspection import table_path as main

if __name__ == "__main__":
    sys.exit(main())
