"""This project's extraction by other sources of it. Arguments: their folder, and those of `this_project.py`."""

import importlib
import sys

sys.path.insert(0, sys.argv.pop(1))
importlib.import_module("this_project")
