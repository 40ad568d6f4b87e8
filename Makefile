# Two commands do all the set-up: `make all` runs the study on phantom cohorts, `make test` passes the tests.

# One job per core, eight at most.
CORES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n : 8)))
# The first that runs: where pyenv manages versions, a name may be there without one.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13; do $$name -c '' 2>/dev/null && echo $$name && exit; done; echo python3)
# The environment. Snakemake cannot start jobs with an interpreter whose path has a blank: then it must lie elsewhere.
VENV ?= .venv
ifneq ($(words $(VENV)),1)
$(error VENV=$(VENV): one path without blanks is expected)
endif
BIN := $(VENV)/bin
# UTF-8 for files and their names, whatever the terminal's locale is.
export PYTHONUTF8 ?= 1
# Overlays of config.yaml, the later ones on top: make all STUDY="studies/paper.yaml mine.yaml"
STUDY ?=
# One thread per job is fastest at this size, and BLAS would otherwise start one per core in each of them.
export OMP_NUM_THREADS ?= 1

.PHONY: all help smoke rehearsal rehearsals rehearsal_open_i rehearsal_arms rehearsal_cbis_tables rehearsal_mechanism rehearsal_slurm test test_slurm test_studies test_workflow test_library faults fuzz repeatability mutants audit lint lock clean

# After a run that was killed or broke, the same command goes on: see docs/recovery.md.
all: $(VENV)/.installed ## run the study, or go on with it; another one: make all STUDY=studies/null.yaml
	@$(BIN)/python -m mmpkd check --real-data $(STUDY)
	@$(BIN)/python -m mmpkd recover $(STUDY)
	@MMPKD_COMMAND='make all$(if $(STUDY), STUDY="$(STUDY)")' $(BIN)/python -m snakemake --cores $(CORES) all $(if $(STUDY),--configfile $(STUDY))

help: ## what `make` can do
	@sed -n 's/^\([a-z_]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

smoke: ## the whole workflow at its smallest, in minutes
	$(MAKE) all STUDY=studies/smoke.yaml

rehearsal: data/rehearsal/.fabricated ## the study of studies/paper.yaml in small, on fabricated downloads
	$(MAKE) all STUDY=studies/rehearsal.yaml
	$(BIN)/mmpkd verify results/rehearsal --inputs studies/rehearsal.yaml

rehearsal_slurm: rehearsal ## the same through Slurm, which is started for it: as root, with Debian's Slurm
	$(BIN)/python -m tests.slurm.rehearsal

rehearsals: rehearsal rehearsal_open_i rehearsal_arms rehearsal_cbis_tables rehearsal_mechanism ## all other studies, in small

rehearsal_arms rehearsal_cbis_tables: data/rehearsal/.fabricated
	$(MAKE) all STUDY=studies/$@.yaml

# Of phantoms alone, so nothing is fabricated for it.
rehearsal_mechanism:
	$(MAKE) all STUDY=studies/rehearsal_mechanism.yaml

rehearsal_open_i: data/rehearsal_open_i/.fabricated
	$(MAKE) all STUDY=studies/$@.yaml

data/rehearsal/.fabricated: $(VENV)/.installed
	rm -rf data/rehearsal
	$(BIN)/mmpkd fabricate data/rehearsal studies/rehearsal.yaml
	$(BIN)/mmpkd convert data/rehearsal/downloads/Bio_ClinicalBERT data/rehearsal/models/Bio_ClinicalBERT
	touch $@

data/rehearsal_open_i/.fabricated: $(VENV)/.installed
	rm -rf data/rehearsal_open_i
	$(BIN)/mmpkd fabricate data/rehearsal_open_i studies/rehearsal_open_i.yaml
	touch $@

# In four parts side by side: the tests of Slurm mostly wait for it, and those of studies and the workflow for jobs.
test: $(VENV)/.installed ## all tests, in four parts side by side: Slurm, studies, workflow, library
	$(MAKE) --jobs 4 --keep-going --output-sync=target test_slurm test_studies test_workflow test_library

test_slurm:
	$(BIN)/python -m pytest tests/slurm

# What needs no finished smoke study: studies of their own, and recovery next to live runs.
test_studies:
	$(BIN)/python -m pytest tests/studies tests/safety tests/recovery

# Those that share one finished smoke study.
test_workflow:
	$(BIN)/python -m pytest tests/workflow tests/faults

test_library:
	$(BIN)/python -m pytest $(addprefix --ignore=tests/,slurm studies safety recovery workflow faults)

# What takes too long for every change. `make fuzz` and `make faults` exit with an error if they find one.
faults: $(VENV)/.installed ## hundreds of runs that are killed and go on
	$(BIN)/python -m tests.faults
	$(BIN)/python -m pytest -m slow tests/recovery

fuzz: $(VENV)/.installed ## a million damaged inputs
	$(BIN)/python -m tests.fuzz --cases 1000000

repeatability: $(VENV)/.installed ## two runs on different numbers of threads give the same numbers
	$(BIN)/python -m tests.repeatability

mutants: $(VENV)/.installed ## whether the tests find faults that are put into the code of the scores
	$(BIN)/python -m pip install --quiet --target .mutmut mutmut==3.8.1
	PYTHONPATH=.mutmut $(BIN)/python -m tests.mutants mutants.csv

audit: $(VENV)/.installed ## known vulnerabilities of the pinned packages; needs the package index
	$(BIN)/python -m pip install --quiet --target .audit pip-audit==2.10.1
	PYTHONPATH=.audit $(BIN)/python -m pip_audit --requirement requirements.lock --no-deps --disable-pip

lint: $(VENV)/.installed ## format, style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

# Before anything is installed: can this interpreter, and one in this place, run the study?
define USABLE
import os, re, sys
place = os.path.abspath(sys.argv[1])
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    found = "%d.%d" % sys.version_info[:2]
    sys.exit(f"Python 3.11 to 3.13 is needed, {sys.argv[2]} is {found}: make PYTHON=/path/to/python3.12")
if not re.fullmatch(r"[\w@%+=:,./-]+", place):
    sys.exit(f"{place}: Snakemake cannot start jobs with an interpreter whose path has a blank or another character of "
             "the shell. Clone the project into a folder without, or put the environment elsewhere: make VENV=/path all")
endef
export USABLE

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c "$$USABLE" $(VENV) $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Without local build tags.
lock: ## pin the packages again, after a change of pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[test,slurm]'
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v '^nvidia-' > requirements.lock
	{ sed '/- pip:/q' envs/mmpkd.yaml; sed 's/^/      - /' requirements.lock; } > envs/mmpkd.yaml.new
	mv envs/mmpkd.yaml.new envs/mmpkd.yaml

clean: ## remove the results of demo, smoke study and rehearsals
	rm -rf results/demo results/smoke results/rehearsal* data/rehearsal*
