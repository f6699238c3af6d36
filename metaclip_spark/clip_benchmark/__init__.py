"""The CLIP benchmark (arXiv 2203.05796): what a curated set is worth, judged by training on it.

This runs in torch processes and needs the extra `metaclip-spark[benchmark]`; nothing else in the package imports it.
"""
