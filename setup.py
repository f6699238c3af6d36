"""Packaging of metaclip-spark: all of it is declared in pyproject.toml."""

from setuptools import setup

setup()
