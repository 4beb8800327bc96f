# The jobs of this project, each with all the set-up it needs: Python >= 3.10, pip and make are enough.
# The first one makes the virtual environment .venv as constraints.txt pins it; later ones use it as it is,
# and need no network. After a change of PYTHON delete .venv.

PYTHON ?= python3
# The commits that bench-history is about.
RANGE ?= HEAD^!
# More arguments for the command that a target runs: make test ARGS="-k linear"
ARGS ?=

VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python -m

# For PIP_CONSTRAINT, which is a list: a path with a space in it would be two, a URL is one.
space := $() $()
CONSTRAINTS := 'file://$(subst $(space),%20,$(CURDIR))/constraints.txt'
ASV := PIP_CONSTRAINT=$(CONSTRAINTS) $(RUN) asv --config asv_benchmarks/asv.conf.json
# Without the kernel's release: results are shown apart for each system.
MACHINE := $(ASV) machine --yes && $(ASV) machine --yes --os $(shell uname -s)

help: ## list the targets (this is the default)
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 17

check: $(READY) ## check all implementations, verdicts in build/check.jsonl (ARGS=--quick: whether all is wired up)
	$(RUN) tmref check all -n auto --report build/check.jsonl $(ARGS)

OTHERS := build/others
check-others: $(OTHERS)/.ready ## check modules of metatrain, featomic-torch and metatomic-torch (ARGS=--quick)
	cd examples/others && for of in metatrain featomic metatomic; do \
	    $(CURDIR)/$(OTHERS)/bin/tmref check of_$$of:implementation -n auto \
	        --report $(CURDIR)/build/$$of.jsonl $(ARGS) || exit 1; done

$(OTHERS)/.ready: examples/others/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(OTHERS)
	$(OTHERS)/bin/pip install --quiet -r examples/others/requirements.txt -e '.[check]'
	@touch $@

test: $(READY) ## run the tests, without the slow ones
	$(RUN) pytest -m "not slow" $(ARGS)

test-all: $(READY) ## run all the tests
	$(RUN) pytest $(ARGS)

lint: $(READY) ## check style, format and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	rm -rf build/typing/tmref
	mkdir -p build/typing/tmref
	ln -s $(addprefix ../../../,$(filter-out %/__pycache__,$(wildcard tmref/*)) strategies) build/typing/tmref
	cd build/typing && ../../$(RUN) mypy --config-file ../../pyproject.toml -p tmref

format: $(READY) ## bring the code into shape
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: $(READY) ## time the commit that is checked out, by asv (ARGS=--show-stderr says why a part fails)
	$(MACHINE)
	$(ASV) run $(ARGS) 'HEAD^!'

bench-history: $(READY) ## time a range of commits, RANGE=HEAD~10..HEAD, and make the pages in .asv/html
	$(MACHINE)
	$(ASV) run --skip-existing-successful $(ARGS) '$(RANGE)'
	$(ASV) publish

bench-rows: $(READY) ## time every row by pytest-benchmark; ARGS=--benchmark-autosave, later =--benchmark-compare
	$(RUN) pytest tests/benchmarks -n0 --benchmark-enable --benchmark-columns=min,median,iqr $(ARGS)

bench-compare: base-is-given $(READY) ## tell whether a commit (HEAD=..., default HEAD) is slower than BASE=...
	$(VENV)/bin/python asv_benchmarks/compare_commits.py $(BASE) $(if $(HEAD),--head $(HEAD)) $(ARGS)

base-is-given:
	@$(if $(BASE)$(filter --planted -h --help,$(ARGS)),,$(error name the commit to compare with: make bench-compare BASE=HEAD~10))

speed: $(READY) ## compare the reference with plain torch and metatensor, as ratios of CPU time; ARGS=--quick
	$(VENV)/bin/python asv_benchmarks/speed.py $(ARGS)

tables: $(READY) ## make the tables of docs/benchmarks/results.md anew (ARGS="tmref bench": that one alone)
	$(VENV)/bin/python asv_benchmarks/tables.py $(ARGS)

teeth: $(READY) ## see whether the laws notice small changes of the sources
	$(VENV)/bin/python tests/teeth $(ARGS)

needs: $(READY) ## measure how many examples laws need to find their planted defects, as they ask for then
	$(VENV)/bin/python tests/laws/needs.py $(ARGS)

drawing: $(READY) ## time the strategies: maps drawn per second, and what shrinking takes
	$(VENV)/bin/python asv_benchmarks/drawing.py $(ARGS)

docs: $(READY) ## make the site in build/site: warnings are errors, every link within it is looked at
	rm -rf build/site docs/made
	$(RUN) sphinx -E -W --keep-going --quiet -b html docs build/site
	if test -d .asv/html; then cp -r .asv/html build/site/history; fi

# Tools that only look at what is built have an environment of their own.
dist: $(READY) ## build wheel and sdist into dist/, and look at what is in them
	rm -rf dist
	$(RUN) build --outdir dist
	$(PYTHON) -m venv build/packaging
	build/packaging/bin/pip install --quiet twine check-wheel-contents
	build/packaging/bin/twine check --strict dist/*
	build/packaging/bin/check-wheel-contents dist/*.whl

clean: ## delete what the other targets made, but not .venv
	rm -rf build dist docs/made .asv .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A virtual environment whose making was cut short is made anew; one that was in use is never deleted.
# The setuptools that builds is pinned, too: by PIP_CONSTRAINT for older versions of pip, else by the other.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python >= 3.10 is needed, " + \
	    sys.executable + " is older: name another one by make PYTHON=...")'
	@if test -e $(VENV)/.unfinished || ! $(VENV)/bin/python -c '' 2>/dev/null; then \
	    set -ex; rm -rf $(VENV); mkdir $(VENV); touch $(VENV)/.unfinished; $(PYTHON) -m venv $(VENV); \
	fi
	@$(RUN) pip --version >/dev/null 2>&1 || $(RUN) ensurepip
	PIP_CONSTRAINT=$(CONSTRAINTS) PIP_BUILD_CONSTRAINT=$(CONSTRAINTS) $(RUN) pip install -e '.[dev]'
	@rm -f $(VENV)/.unfinished
	@touch $(READY)

.PHONY: help check check-others test test-all lint format bench bench-history bench-rows bench-compare base-is-given speed tables teeth needs drawing docs dist clean
