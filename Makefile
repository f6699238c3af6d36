# `make demo` and `make test` are all that a fresh machine with Python needs; CONTRIBUTING.md has the rest.
SHELL := /bin/sh
VENV := .venv
SPARK35 := .venv-spark35
BENCHMARK := .venv-benchmark
IMG2DATASET := .venv-img2dataset
OUTPUT := demo-output
WORLDWIDE_OUTPUT := demo-worldwide-output
SPARK_CLASSES := build/spark-classes.jsa
BENCHMARK_TESTS := tests/unit/metaclip_spark/clip_benchmark
STORES := local s3 hdfs
GCS_TESTS := tests/end_to_end/test_gcs.py $(addprefix tests/unit/metaclip_spark/stores/test_,google_connector.py object_store.py)
# Whatever asks for an S3 server, but for the requests to EMR, which only moto knows.
S3_TESTS = $(shell grep -rl s3_server tests/unit)
ARCHIVES := tests/data/sample/*.warc.gz
SCRIPTS := deploy/bootstrap.sh .ci/find_python .ci/install .ci/run .ci/with_signs_of_life
ENVIRONMENT := setup.py pyproject.toml constraints.txt
# Rows of the CLIP benchmark that are stored, of one pool in each folder.
FINISHED_CELLS = $(if $(wildcard $(1)/results.parquet),--finished-cells $(1))
DRAWINGS := tests/benchmarks/clip_drawings
BESIDE := $(if $(wildcard $(DRAWINGS)/benchmark.json),--beside $(DRAWINGS))
SYNONYMS := $(if $(wildcard /usr/share/wordnet/data.noun),--synonyms /usr/share/wordnet)

# One java for every target that starts Spark, and the same Python on the driver and in the workers.
WITH_SPARK = home="$$($(VENV)/bin/python .ci/java_home.py)" && JAVA_HOME="$$home" \
	PYSPARK_PYTHON="$(CURDIR)/$(VENV)/bin/python" PYSPARK_DRIVER_PYTHON="$(CURDIR)/$(VENV)/bin/python"
# The same with the environment that has torch.
WITH_TORCH = home="$$($(BENCHMARK)/bin/python .ci/java_home.py)" && JAVA_HOME="$$home" OMP_NUM_THREADS=1 \
	PYSPARK_PYTHON="$(CURDIR)/$(BENCHMARK)/bin/python" PYSPARK_DRIVER_PYTHON="$(CURDIR)/$(BENCHMARK)/bin/python"

RESOLVE := UV_CUSTOM_COMPILE_COMMAND="make constraints" $(VENV)/bin/uv pip compile --quiet pyproject.toml \
	--python-version 3.11 --no-annotate --no-emit-index-url --no-emit-find-links
# Builds a server of the tests, minutes, where neither the path nor Go's own folder has it; without Go the target fails.
WITH_PROGRAM = @command -v $(1) > /dev/null || test -x "$$(go env GOPATH 2> /dev/null)/bin/$(1)" || \
	{ echo "Building $(1) (once, some minutes)"; go install $(2); } || { echo "go could not build $(1)"; exit 2; }
# The tests of a file share what they made, so that a file stays with one process; the long ones of whole jobs come first.
IN_PARALLEL := --dist loadfile --no-loadscope-reorder

.PHONY: help demo demo-worldwide test checked-tests checked-benchmark kernels test-fast check check-style check-types docs constraints format zip bench bench-scale bench-choices bench-first-draw clean wheel pack test-s3 test-yarn test-kills test-model test-loop test-borders test-worldwide test-pauses test-faults test-pack test-bootstrap test-gcs test-versitygw test-croissant \
	test-download unit-benchmark test-benchmark benchmark-grid benchmark-drawings grid-pages
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/installed-spark ## curate the sample into demo-output/ (the first run installs everything into .venv/)
	@$(WITH_SPARK) $(VENV)/bin/python jobs/curate.py --archives '$(ARCHIVES)' \
		--metadata tests/data/wordnet_lemmas.txt.gz --output $(OUTPUT) --threshold-t 20 --seed 0 --overwrite
	@printf "%s\n" "" "To go on:" "  . $(VENV)/bin/activate" \
		"  export JAVA_HOME=\"\$$(python .ci/java_home.py)\"" "  metaclip-spark plan --run $(OUTPUT)"

# npm and apt bring what it is made from, some 170 MB, once; nothing of it is part of this repository.
demo-worldwide: $(VENV)/installed-spark ## curate captions in 140 languages, each by its own list, into demo-worldwide-output/
	@$(VENV)/bin/python tests/data/make_worldwide_pool.py --output build/worldwide
	@$(WITH_SPARK) $(VENV)/bin/python jobs/curate.py --pool build/worldwide/pool.parquet --url-column image_url \
		--text-column alt_text --metadata build/worldwide/lists --language-from column --language-column language \
		--word-borders script --output $(WORLDWIDE_OUTPUT) --threshold-t 20 --seed 0 --overwrite
	@printf "%s\n" "" "These pictures are not to be downloaded: those of emoji are SVG, and Tux Paint's have no URL but a name." \
		"To go on:" "  . $(VENV)/bin/activate" "  export JAVA_HOME=\"\$$(python .ci/java_home.py)\"" \
		"  metaclip-spark explain --run $(WORLDWIDE_OUTPUT) --entry ja:犬"

test: $(VENV)/installed-tests ## check, then every test
	@$(MAKE) --no-print-directory --jobs=4 checked-benchmark checked-tests

# Much of their time the tests wait for processes: three use two cores.
checked-tests: check kernels $(SPARK_CLASSES) $(SPARK35)/installed-spark
	@$(WITH_SPARK) METACLIP_SPARK35_PYTHON="$(CURDIR)/$(SPARK35)/bin/python" $(VENV)/bin/python -m pytest -n 3 $(IN_PARALLEL) -m "not slow"

# Beside all others and told in one piece.
checked-benchmark: check $(BENCHMARK)/installed-benchmark
	@mkdir -p build
	@$(WITH_TORCH) $(BENCHMARK)/bin/python -m pytest $(BENCHMARK_TESTS) > build/benchmark-tests.log 2>&1; \
		status=$$?; cat build/benchmark-tests.log; exit $$status

kernels: $(VENV)/installed-tests
	@$(VENV)/bin/python -m udfs.kernels

$(SPARK_CLASSES): $(VENV)/installed-tests | kernels
	@$(WITH_SPARK) $(VENV)/bin/python -m tests.support.class_archive > /dev/null

test-fast: $(VENV)/installed-tests ## every test that needs no JVM, some minutes
	@$(VENV)/bin/python -m pytest -n 2 $(IN_PARALLEL) -m "not slow and not spark"

check: docs check-style check-types ## ruff, mypy, import-linter, shellcheck, hadolint, and the documentation without a warning

check-style: $(VENV)/installed-tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/shellcheck $(SCRIPTS)
	$(VENV)/bin/hadolint deploy/Dockerfile

check-types: $(VENV)/installed-tests
	$(VENV)/bin/mypy

# The variable silences the theme's notice about its successor.
docs: $(VENV)/installed-tests ## the documentation site, in build/site/
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet --strict

format: $(VENV)/installed-tests ## let ruff format the sources
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

zip: $(VENV)/installed-spark ## build/metaclip_spark.zip, for spark-submit --py-files
	$(VENV)/bin/python .ci/build_zip.py build/metaclip_spark.zip

wheel: $(VENV)/installed-spark ## the wheel that deploy/bootstrap.sh installs
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir build .

pack: $(VENV)/installed-spark ## an archive with Python and the dependencies, for spark-submit --archives
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt packaging hdfs-native
	$(VENV)/bin/python .ci/pack.py build

test-s3: $(VENV)/installed-tests $(SPARK35)/installed-spark ## tables on S3 (moto, or METACLIP_S3_ENDPOINT) and a faulty network
	@$(WITH_SPARK) METACLIP_SPARK35_PYTHON="$(CURDIR)/$(SPARK35)/bin/python" $(VENV)/bin/python -m pytest \
		tests/end_to_end/test_s3.py

test-gcs: $(VENV)/installed-tests ## archives and tables on gs:// (fake-gcs-server, built with go), and killed drivers there
	$(call WITH_PROGRAM,fake-gcs-server,github.com/fsouza/fake-gcs-server@v1.56.1)
	@.ci/install $(VENV)/bin/python --constraint constraints.txt gcsfs
	@$(WITH_SPARK) $(VENV)/bin/python -m pytest --durations=0 --durations-min=1 $(GCS_TESTS) -m slow

# What it needs would change what the type checks see, so it has an environment of its own.
test-croissant: $(VENV)/installed-tests ## mlcroissant takes a run's description, and reads the curated set by it
	@test -x build/croissant/bin/python || { "$$(.ci/find_python)" -m venv build/croissant && \
		.ci/install build/croissant/bin/python 'mlcroissant[parquet]==1.1.1'; }
	@METACLIP_CROISSANT_PYTHON="$(CURDIR)/build/croissant/bin/python" $(VENV)/bin/python -m pytest \
		tests/unit/metaclip_spark/reports/pages/test_croissant.py

test-versitygw: $(VENV)/installed-tests $(SPARK35)/installed-spark ## what the tests do on S3, on a second server (versitygw, built with go)
	$(call WITH_PROGRAM,versitygw,github.com/versity/versitygw/cmd/versitygw@v1.8.0)
	@$(WITH_SPARK) METACLIP_S3_SERVER=versitygw METACLIP_SPARK35_PYTHON="$(CURDIR)/$(SPARK35)/bin/python" \
		$(VENV)/bin/python -m pytest --durations=0 --durations-min=1 tests/end_to_end/test_s3.py $(S3_TESTS)
	@$(WITH_SPARK) METACLIP_S3_SERVER=versitygw $(VENV)/bin/python -m pytest --durations=0 --durations-min=1 \
		tests/end_to_end/test_yarn.py -k on_s3

test-download: $(VENV)/installed-tests $(IMG2DATASET)/installed ## a real img2dataset asks a server on this machine, which answers badly, too
	@$(WITH_SPARK) METACLIP_IMG2DATASET="$(CURDIR)/$(IMG2DATASET)/bin/img2dataset" $(VENV)/bin/python -m pytest \
		--durations=0 --durations-min=1 tests/end_to_end/test_img2dataset.py tests/end_to_end/test_balance_last.py

test-kills: $(VENV)/installed-tests ## twenty kills -9 on the pseudo-cluster, the long form; STORES='local s3 hdfs'
	@$(WITH_SPARK) && for store in $(STORES); do \
		$(VENV)/bin/python -m tests.end_to_end.kill_runs 20 1 "$$store" || exit; done

test-yarn: $(VENV)/installed-tests $(SPARK35)/installed-spark ## whole runs on YARN and HDFS, and what is killed there, on both Spark lines
	@$(WITH_SPARK) METACLIP_SPARK35_PYTHON="$(CURDIR)/$(SPARK35)/bin/python" $(VENV)/bin/python -m pytest \
		--durations=0 --durations-min=1 tests/end_to_end/test_yarn.py tests/end_to_end/test_yarn_containers.py

test-model: $(VENV)/installed-tests ## 20,000 schedules of drivers that share a folder, the long form
	$(VENV)/bin/python -m tests.support.commit_model 20000

test-loop: $(VENV)/installed-tests ## 60,000 made records, many of them broken, and 400 damaged archives, with the compiled loop and without
	$(VENV)/bin/python -m tests.support.loop_inputs 2400 400

test-borders: $(VENV)/installed-tests ## 40 million decisions on word borders, by both engines and by the rules written once more
	$(VENV)/bin/python -m tests.support.border_trials 1000

# npm and apt bring the pool, as for demo-worldwide.
test-worldwide: $(VENV)/installed-tests ## the worldwide demo's pool by column and by text, against a curation in plain Python
	@$(VENV)/bin/python tests/data/make_worldwide_pool.py --output build/worldwide
	@$(WITH_SPARK) $(VENV)/bin/python -m tests.support.worldwide_runs build/worldwide

test-pauses: $(VENV)/installed-tests ## a driver that falls asleep at every moment of a run while another one finishes it
	@$(WITH_SPARK) $(VENV)/bin/python -m tests.end_to_end.pauses

test-pack: $(VENV)/installed-tests ## build the pack and run executors on it
	$(VENV)/bin/python -m pip install --quiet packaging
	@$(WITH_SPARK) $(VENV)/bin/python -m pytest tests/end_to_end/test_pack.py

test-bootstrap: $(VENV)/installed-tests ## deploy/ on a bare Debian 12, as root with mmdebstrap, some 5 minutes
	@$(WITH_SPARK) $(VENV)/bin/python -m pytest tests/end_to_end/test_bootstrap.py

test-faults: $(VENV)/installed-tests $(SPARK35)/installed-spark ## the whole job through a faulty proxy, on both Spark lines
	@$(WITH_SPARK) METACLIP_SPARK35_PYTHON="$(CURDIR)/$(SPARK35)/bin/python" $(VENV)/bin/python -m pytest -s \
		tests/end_to_end/test_s3.py -k faulty

unit-benchmark: $(BENCHMARK)/installed-benchmark ## the short tests of the CLIP benchmark; test runs them too
	@$(WITH_TORCH) $(BENCHMARK)/bin/python -m pytest -n 2 $(IN_PARALLEL) $(BENCHMARK_TESTS)

test-benchmark: $(BENCHMARK)/installed-benchmark ## one training of each variant on drawn shapes, some 10 minutes
	@$(WITH_TORCH) $(BENCHMARK)/bin/python jobs/benchmark_clip.py --output benchmark-test --grid product \
		--variants clip slip filip declip defilip --seeds 1 --steps 300 --must-learn

benchmark-grid: $(BENCHMARK)/installed-benchmark ## the CLIP benchmark's grid, hours; it resumes where it was stopped, here or elsewhere
	@$(WITH_TORCH) $(BENCHMARK)/bin/python jobs/benchmark_clip.py --output benchmark-grid --grid fractional \
		--seeds 5 --steps 400 --cells-at-once "$$(getconf _NPROCESSORS_ONLN)" $(SYNONYMS) $(BESIDE) \
		$(call FINISHED_CELLS,tests/benchmarks/clip_grid)

benchmark-drawings: $(BENCHMARK)/installed-benchmark ## its data arms on real captions, which benchmark-grid then shows beside its own pool
	@$(WITH_TORCH) $(BENCHMARK)/bin/python jobs/benchmark_clip.py --output benchmark-drawings --grid arms \
		--data drawings --seeds 5 --steps 400 --cells-at-once "$$(getconf _NPROCESSORS_ONLN)" \
		$(call FINISHED_CELLS,$(DRAWINGS))

grid-pages: $(VENV)/installed-tests ## stores the rows of these two, and writes README and page of a finished grid; REPLACE=yes to begin anew
	@for folder in $(wildcard benchmark-drawings benchmark-grid); do \
		$(VENV)/bin/python .ci/clip_pages.py "$$folder" $(if $(REPLACE),--replace) || exit; done

bench: $(VENV)/installed-tests ## the benchmarks and their chart, hours on a small machine; BENCH='--only P1 P3' for some
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt matplotlib
	@$(WITH_SPARK) PYTHONPATH="$(CURDIR)" $(VENV)/bin/python tests/benchmarks/run_benchmarks.py $(BENCH)

bench-scale: $(VENV)/installed-tests ## one run of 50 million pairs, 12 minutes on two cores, 20 GB of disk
	@$(WITH_SPARK) PYTHONPATH="$(CURDIR)" $(VENV)/bin/python tests/benchmarks/bench_scale.py $(BENCH)

bench-choices: $(VENV)/installed-tests ## the steps' ways of working and the session's settings, each beside its alternative
	@$(WITH_SPARK) PYTHONPATH="$(CURDIR)" $(VENV)/bin/python tests/benchmarks/bench_choices.py $(BENCH)
	@$(WITH_SPARK) PYTHONPATH="$(CURDIR)" $(VENV)/bin/python tests/benchmarks/bench_settings.py

bench-first-draw: $(VENV)/installed-tests ## a second draw over survivors against the ideal, on 50 million pairs; 40 GB of disk
	@$(WITH_SPARK) PYTHONPATH="$(CURDIR)" $(VENV)/bin/python -m tests.benchmarks.bench_first_draw $(BENCH)

clean: ## delete what the other targets built, but not the environments
	rm -rf build dist $(OUTPUT) $(WORLDWIDE_OUTPUT) demo-languages-output *.egg-info spark-warehouse metastore_db derby.log
	rm -rf udfs/__pycache__/kernels-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

constraints: ## resolve the dependencies anew, as near as possible to the versions pinned now
	$(VENV)/bin/python -m pip install --quiet uv
	$(RESOLVE) --extra spark --extra notebooks --extra worldwide --group tests --group docs --output-file constraints.txt
	$(RESOLVE) --extra spark --extra benchmark --group benchmark-tests --constraint constraints.txt \
		--output-file constraints-benchmark.txt

# An environment is made anew only when what it is made from has changed.
$(VENV)/bin/python $(SPARK35)/bin/python $(BENCHMARK)/bin/python $(IMG2DATASET)/bin/python:
	@echo "Making a Python environment in $(dir $(@D))"
	@python="$$(.ci/find_python)" && "$$python" -m venv $(dir $(@D))

$(VENV)/installed-spark: $(ENVIRONMENT) | $(VENV)/bin/python
	@echo "Installing Spark and what else is needed into $(VENV)/ (once, a minute or so)"
	@.ci/with_signs_of_life .ci/install $(VENV)/bin/python --constraint constraints.txt --editable '.[spark]'
	@touch $@

$(VENV)/installed-tests: $(ENVIRONMENT) | $(VENV)/bin/python
	.ci/install $(VENV)/bin/python --constraint constraints.txt --editable '.[spark,notebooks,worldwide]' --group tests --group docs
	.ci/install $(VENV)/bin/python --no-deps img2dataset==1.47.0
	@touch $@ $(VENV)/installed-spark

# The second Spark line: everything but Spark itself is pinned to the same versions.
$(SPARK35)/installed-spark: $(ENVIRONMENT) | $(SPARK35)/bin/python
	@grep -vE '^(pyspark|py4j)==' constraints.txt > $(SPARK35)/constraints.txt
	.ci/install $(SPARK35)/bin/python --constraint $(SPARK35)/constraints.txt --editable '.[spark,hdfs]' pyspark==3.5.8
	@touch $@

# Torch alone is 5 GB, so it has an environment of its own.
$(BENCHMARK)/installed-benchmark: $(ENVIRONMENT) constraints-benchmark.txt | $(BENCHMARK)/bin/python
	.ci/install $(BENCHMARK)/bin/python --constraint constraints-benchmark.txt --editable '.[spark,benchmark]' \
		--group benchmark-tests
	@touch $@

# OpenCV, albumentations and wandb, which only it needs, are half a gigabyte, and pin versions of their own.
$(IMG2DATASET)/installed: | $(IMG2DATASET)/bin/python
	.ci/install $(IMG2DATASET)/bin/python img2dataset==1.47.0
	@touch $@
