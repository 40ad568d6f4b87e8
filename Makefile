# Two commands do all the set-up: `make all` runs the study on phantom cohorts, `make test` passes the tests.

# One job a core, eight at most.
CORES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n : 8)))
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(CURDIR)/.venv/bin
# One thread a job is fastest at this size, and BLAS would otherwise start one a core in each of them.
export OMP_NUM_THREADS ?= 1

.PHONY: all test smoke lint lock clean

all: .venv/.installed
	$(BIN)/snakemake --cores $(CORES) all

smoke: .venv/.installed
	$(BIN)/snakemake --cores $(CORES) all --configfile studies/smoke.yaml

# The tests of Slurm mostly wait for it, so they run beside the others.
test: .venv/.installed
	$(BIN)/python -m pytest tests/slurm > .slurm_tests.log 2>&1 & slurm=$$!; \
	$(BIN)/python -m pytest --ignore=tests/slurm; others=$$?; \
	wait $$slurm; slurm=$$?; cat .slurm_tests.log; rm .slurm_tests.log; exit $$((others || slurm))

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# After a change of pyproject.toml: pins of what an environment that meets it holds, without local build tags.
lock:
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[test,slurm]'
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v '^nvidia-' > requirements.lock
	{ sed '/- pip:/q' envs/mmpkd.yaml; sed 's/^/      - /' requirements.lock; } > envs/mmpkd.yaml.new
	mv envs/mmpkd.yaml.new envs/mmpkd.yaml

clean:
	rm -rf results/demo results/smoke
