# make demo and make test need nothing but make and a Python 3.11 to 3.13; see `make help`.

VENV ?= .venv
OUT ?= runs/quick

# The first Python that runs, is of a version we support, and can make virtual environments. Tried by running it:
# a version manager may put names on the path that do not run, and Debian splits ensurepip into python3-venv.
PYTHON ?= $(shell for name in python3.12 python3.13 python3.11 python3; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$name && break; done)

.PHONY: help demo test test-foreign test-slow check wheel-test clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo        install into $(VENV), run the quick preset, write the report to $(OUT)/report'
	@echo 'make test        install with test dependencies, run the fast tests'
	@echo 'make test-foreign  the fast tests that train networks, as on a processor of another kind'
	@echo 'make test-slow   the slow tests, the wheel test among them'
	@echo 'make check       ruff, mypy --strict, vulture, the tests of architecture and documentation'
	@echo 'make wheel-test  build the wheel, install it into an empty environment, try it there (about 6 GB, then deleted)'
	@echo 'make clean       delete $(VENV), build output and caches; runs/ and data/ stay'

demo: $(VENV)/installed
	$(VENV)/bin/nsbench run-all --out '$(OUT)'

test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest

# Older instructions and the other arithmetic than `make test` has: a test that rests on what one training gives fails.
# ONEDNN_MAX_CPU_ISA=AVX2 besides would imitate more, but bfloat16 is then emulated and trainings take 2.4 times as long.
test-foreign: $(VENV)/installed-test
	ATEN_CPU_CAPABILITY=default NSBENCH_TEST_PRECISION=bfloat16 \
		$(VENV)/bin/python -m pytest -m 'training and not slow and not gpu' --durations=10

test-slow: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -m 'slow and not gpu' --dist=loadgroup --durations=10

check: $(VENV)/installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/vulture
	$(VENV)/bin/python -m pytest tests/test_architecture.py tests/test_docs.py tests/test_english.py

wheel-test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -m slow tests/test_wheel.py

clean:
	rm -rf '$(VENV)' build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo 'No Python 3.11, 3.12 or 3.13 with the venv module was found: install one' \
		'(on Debian python3 and python3-venv) or name it with make PYTHON=/path/to/python.' >&2; exit 1; }
	$(PYTHON) -m venv '$(VENV)'

# torch and torchvision come in one pip command, so that pip takes a matching pair.
$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --editable .
	@touch $@

$(VENV)/installed-%: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --editable '.[$*]'
	@touch $@
