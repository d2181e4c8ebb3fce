# Needs Python >= 3.10, make and a C++ compiler; everything else goes into .venv.
PYTHON ?= python3
EXPERIMENT ?= quickstart
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# lava-nc admits only Python 3.10 and older releases of what it imports, yet runs on newer ones: see pyproject.toml.
LAVA := lava-nc==0.10.0
PYTHONS := 3.10 3.11 3.12 3.13
# Where lava-nc's metadata ends: a small environment, without torch, in which those tests of Lava run that need none.
PYTHON310 ?= $(shell $(PYTHON) tests/agreement/interpreters.py 3.10)
VENV310 := .venv-310
LAVA_SIDE := brian2 hypothesis nir numba numpy pint pydantic pytest pytest-timeout safetensors scipy threadpoolctl tomli tqdm
LAVA_TESTS = $(filter-out %_unrolled.py,$(wildcard tests/agreement/test_lava_*.py))
RESOLVER := .venv-uv
EXCHANGE := .venv-exchange
COMPILE := $(RESOLVER)/bin/uv pip compile --quiet --no-python-downloads --no-build --extra all --extra dev pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow test-lava-fuzz test-exchange test-lava-310 format resolve lock wheel clean

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: $(STAMP)  ## make .venv with everything in it, Lava included

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "Python 3.10 or newer is needed; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@command -v $(firstword $(CXX)) >/dev/null || \
	  echo "No C++ compiler ($(CXX)) found: Brian2 cannot compile its networks without one." >&2
	@grep -q '^torch==' constraints.txt || { \
	  echo "constraints.txt pins no torch, so pip would take the newest, with gigabytes for a GPU: make lock" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --ignore-requires-python '$(LAVA)'
	@touch $@

# uv stands apart: it must work while constraints.txt is being changed, and before anything is installed from it.
$(RESOLVER)/bin/uv:
	$(PYTHON) -m venv $(RESOLVER)
	$(RESOLVER)/bin/python -m pip install --disable-pip-version-check 'uv>=0.5'

run: $(STAMP)  ## run the experiment `quickstart`; make run EXPERIMENT=name ARGS='--out DIR' for others
	$(BIN)/neuroclapp run $(EXPERIMENT) $(ARGS)

test: $(STAMP)  ## check style and types, run the quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=benchmarks $(BIN)/mypy neuroclapp benchmarks
	$(BIN)/python -m pytest $(ARGS)

test-slow: $(STAMP)  ## run the tests that take longer
	$(BIN)/python -m pytest -m slow $(ARGS)

test-lava-fuzz: $(STAMP)  ## hold the integer interpreter to Lava on 1024 random networks; ARGS='--first 5000 --networks 64'
	PYTHONPATH=tests $(BIN)/python -m agreement.lava_fuzz $(ARGS)

test-lava-310:  ## run the tests of Lava on Python 3.10, in an environment of their own
	@if [ -z "$(PYTHON310)" ]; then \
	  echo "skipped: no Python 3.10 found; name one with: make test-lava-310 PYTHON310=/path/to/python3.10"; \
	else \
	  $(MAKE) --no-print-directory $(VENV310)/.installed PYTHON310="$(PYTHON310)" && \
	  PYTHONPATH=. $(VENV310)/bin/python -m pytest $(LAVA_TESTS) $(ARGS); \
	fi

$(VENV310)/.installed: pyproject.toml constraints.txt
	$(PYTHON310) -m venv $(VENV310)
	$(VENV310)/bin/python -m pip install --disable-pip-version-check -c constraints.txt $(LAVA_SIDE) '$(LAVA)'
	@touch $@

# What these tools ask for does not fit together, nor with the package: an environment for each family, Python 3.11 or newer.
$(EXCHANGE)/torch/.installed: tests/exchange/torch.txt tests/exchange/torch-tools.txt
	$(PYTHON) -m venv $(EXCHANGE)/torch
	$(EXCHANGE)/torch/bin/python -m pip install --disable-pip-version-check -r tests/exchange/torch.txt
	$(EXCHANGE)/torch/bin/python -m pip install --disable-pip-version-check --no-deps -r tests/exchange/torch-tools.txt
	@touch $@

$(EXCHANGE)/jax/.installed: tests/exchange/jax.txt
	$(PYTHON) -m venv $(EXCHANGE)/jax
	$(EXCHANGE)/jax/bin/python -m pip install --disable-pip-version-check -r tests/exchange/jax.txt
	@touch $@

test-exchange: $(STAMP) $(EXCHANGE)/torch/.installed $(EXCHANGE)/jax/.installed  ## let four other tools read network.nir and measure their spike counts
	$(BIN)/python -m pytest -m 'slow or not slow' -s tests/exchange $(ARGS)

format: $(STAMP)  ## sort the imports and format the code
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

resolve: $(RESOLVER)/bin/uv  ## check that the dependencies fit together on every supported Python (metadata only)
	@for version in $(PYTHONS); do \
	  $(COMPILE) --python-version $$version -c constraints.txt >/dev/null || exit 1; \
	  echo "Python $$version: resolves"; \
	done

lock: $(RESOLVER)/bin/uv  ## write constraints.txt anew from pyproject.toml, keeping the pins that still fit
	$(COMPILE) --universal --python-version 3.10 --annotation-style line --custom-compile-command 'make lock' \
	  -o constraints.txt >/dev/null
	@# What torch asks for beside a GPU depends on its build, not on us. The pins hold on any system.
	sed -i -E -e '/^(cuda|nvidia|triton)/d' -e "s/ and sys_platform == 'linux'//g" \
	  -e "s/python_full_version < '3.14' and //g" -e "s/ and python_full_version < '3.14'//g" -e "s/ ; python_full_version < '3.14'( |$$)/\1/" constraints.txt

wheel: $(STAMP)  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## remove .venv, caches and what was built; runs/ stays
	rm -rf $(VENV) $(VENV310) $(RESOLVER) $(EXCHANGE) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find neuroclapp tests -name __pycache__ -type d -prune -exec rm -rf {} +
