# Everything here works on a fresh clone with nothing but Python >= 3.11: each target makes .venv itself.
#   make demo   the tour: a photograph pooled by every kind there is, checked, timed, and drawn to demo.png
#   make gpu    on a machine with a GPU: the tests there, and times against torch and CuPy, as gpu.json
#   make test   the tests (PYTEST_ARGS="-k max2d" for some of them)
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
GPU_ARGS ?=

bin := $(VENV)/bin
pip := $(bin)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test slow cuda-test gpu peers bench lint format docs asv-smoke clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(bin)/python -m numbapool demo $(DEMO_ARGS)

test: $(VENV)/.test
	$(bin)/python -m pytest -n auto $(PYTEST_ARGS)

# What `make test` leaves out: every dtype through every kernel, every order of a norm, every pair of dtypes.
slow: $(VENV)/.test
	$(bin)/python -m pytest -n auto --slow -m slow $(PYTEST_ARGS)

# The CUDA backend without a GPU: the simulator, and every kernel compiled to PTX.
cuda-test: $(VENV)/.test $(VENV)/.cuda12
	$(bin)/python -m pytest -n auto tests/test_cuda.py $(PYTEST_ARGS)

# On a GPU, with the Python that has numba, numba-cuda, CuPy, torch and pytest: `make gpu PYTHON=python3`.
gpu:
	$(PYTHON) benchmarks/gpu.py $(GPU_ARGS)

# Differential tests against packages too heavy for the test extra.
peers: $(VENV)/.bench
	$(bin)/python -m pytest -m peers $(PYTEST_ARGS)

bench: $(VENV)/.bench
	$(bin)/python -m numbapool bench $(BENCH_ARGS)

lint: $(VENV)/.lint
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy

format: $(VENV)/.lint
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

docs: $(VENV)/.docs
	$(bin)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Every benchmark once, in this environment: that they run, not how fast.
asv-smoke: $(VENV)/.test
	cd asv_bench && $(abspath $(bin))/asv machine --yes && \
	  $(abspath $(bin))/asv run --python=same --quick --show-stderr --dry-run

clean:
	rm -rf $(VENV) build docs/_build docs/generated asv_bench/results *.egg-info .pytest_cache .ruff_cache .mypy_cache

# One stamp per extra: installing happens once, and again when pyproject.toml changes.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "numbapool needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another with: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.bench $(VENV)/.cuda12: $(VENV)/.%: $(VENV)/.created pyproject.toml
	@echo "Installing numbapool[$*] into $(VENV) ..."
	@$(pip) -e '.[$*]'
	@touch $@
