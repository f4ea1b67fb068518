# Everything runs in an environment of its own: VENV=DIR puts it elsewhere, PYTHON=FILE names the
# interpreter it is made from.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OPEN := $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

.PHONY: demo test test-cluster cluster-parts check bench cluster-up cluster-down environment clean

demo: $(READY)
	$(BIN)/python -m sweep +experiment=forecast -m
	@echo "Open it in MLflow: $(if $(MLFLOW_TRACKING_URI),see MLFLOW_TRACKING_URI,$(OPEN))"

test: $(READY)
	$(BIN)/python -m pytest -m "not (kube or node or stack or kueue)"

# Needs Go; with root the real nodes too. See docs/testing.md. Two test runs side by side, each with a
# bed of its own: most of their time is spent waiting.
test-cluster: $(READY) cluster-parts
	@log=$$(mktemp); $(BIN)/python -m pytest -m "node" --durations 15 >$$log 2>&1 & nodes=$$!; \
	trap 'kill $$nodes 2>/dev/null' INT TERM; \
	failed=0; $(BIN)/python -m pytest -m "(kube or stack) and not node" --durations 15 || failed=1; \
	wait $$nodes || failed=1; cat $$log; rm $$log; exit $$failed

# What the cluster's tests need built: 20 minutes on two cores, once a machine.
cluster-parts: $(READY)
	PYTHONPATH=tests/cluster $(BIN)/python -m testbed build --images kube kwok coredns netpol minio mc

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports --no-cache

# What a laptop can measure; cluster.py needs root and Go, array_gpu.py a GPU, strategies.py a verb.
bench: $(READY)
	set -e; for name in help planning overhead launcher tracking; do \
	  $(BIN)/python benchmarks/$$name.py; done

cluster-up: $(READY)
	PYTHONPATH=tests/cluster $(BIN)/python -m testbed build kube kwok
	PYTHONPATH=tests/cluster $(BIN)/python -m testbed up

cluster-down: $(READY)
	PYTHONPATH=tests/cluster $(BIN)/python -m testbed down

environment: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: Python 3.11 or newer is needed; name one by make PYTHON=FILE" >&2; exit 2; }
	@echo "Installing into $(VENV): up to 3 GB to download, 6 GB on disk, most of it torch for CUDA."
	@echo "PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS may offer a CPU build of torch, which is far smaller."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --build-constraint constraints.txt --group dev --editable '.[lstm,report,cluster]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
