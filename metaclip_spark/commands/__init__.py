"""What can be done from a command line: the verbs of `metaclip-spark`, which the scripts in jobs/ run, too.

A command's options are imported with it, all else when it runs: `--help` needs neither Spark nor numba.
"""
