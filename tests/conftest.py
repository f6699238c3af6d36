"""What holds for all tests."""

import os

# The JVMs of tests live for seconds: without the second compiler a cold run costs 40 % less processor time.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
