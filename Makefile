# `make demo` and `make test` set everything up by themselves on a machine with Python 3.11+, git, make and a package index.

PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
SLURM_PACKAGES := slurm-wlm munge slurmdbd mariadb-server

.PHONY: setup demo smoke weights test test-slow test-baselines test-slurm test-browser test-cohort test-faults lint bench

setup: .venv/.complete

.venv/.complete: envs/requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement envs/requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	$(BIN)/python -m decoupled_qc.report.viewer || true  # pages show still pictures without it
	touch $@

demo: setup
	$(SNAKEMAKE) --configfile config/demo.yaml
	@cat results/demo/tables/side_by_side.txt
	@printf '\nLook at:\n  results/demo/report.html\n  results/demo/figures/\n  results/demo/tables/\n  results/demo/scores.csv\n'

smoke: setup
	$(SNAKEMAKE) --configfile config/smoke.yaml

# The weights in the package, anew. DATA is a folder of public scans, see docs/predict.md.
weights: setup
	$(if $(DATA),,$(error Give the folder of public scans that docs/predict.md lists: make weights DATA=FOLDER))
	$(SNAKEMAKE) --configfile config/release.yaml
	$(BIN)/python benchmarks/release.py $(DATA) --model results/release/model
	$(BIN)/python benchmarks/ship_weights.py results/release/model

# As many processes as cores, with one thread each.
test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

# The weights in the package on what is no brain, a folder by several processes, all of the smoke chain's scores again: ten minutes.
test-slow: setup
	$(BIN)/python -m pytest -m slow tests/unit tests/integration

# The smoke chain with every baseline and three replicates: nine minutes on two cores.
test-baselines: setup
	$(BIN)/python -m pytest -m baselines tests/integration

# A small data set laid out as MR-ART, from an S3 server on this machine to Table 2.
test-cohort: setup
	$(BIN)/python -m pytest -m cohort tests/integration

# As root on Debian: a real cluster on this machine, which is gone afterwards.
test-slurm: setup
	(for program in slurmctld slurmdbd munged mariadbd; do command -v $$program || exit; done) || \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(SLURM_PACKAGES); }
	$(BIN)/python -m pytest -m slurm tests/slurm

# The pages in headless Chromium, without a graphics card.
test-browser: setup
	$(BIN)/pip install --quiet --requirement envs/browser.lock
	command -v chromium || { apt-get update && apt-get install --yes --no-install-recommends chromium; }
	$(BIN)/python -m pytest -m browser tests/browser

# The chain killed at every stage, on a full disk, with results read-only (both as root only), and so on: about a quarter of an hour.
test-faults: setup
	$(BIN)/python -m pytest -m faults tests/faults

lint: setup
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile config/demo.yaml

# What the benchmarks compare with and nothing else needs: nnU-Net's networks, and pingouin with two that it imports.
PEERS := dynamic-network-architectures==0.4.4 pingouin==0.7.0 pandas-flavor==0.8.1 xarray==2026.9.0

bench: setup
	$(BIN)/pip install --quiet --no-deps $(PEERS)
	$(BIN)/python benchmarks/run.py
