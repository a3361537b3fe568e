# playattention: make run, make test. Everything goes into .venv; nothing else is touched.
#
#   make run     set up, train GPT on the built-in plays, show what it writes (minutes, no internet)
#   make test    set up, check style and types, run the tests
#   make lint    style and types alone
#   make docs    the text of docs/ as a site in site/, every link checked
#   make bench   the benchmarks; results go to benchmarks/results/
#
# On Linux without a GPU, TORCH_INDEX=https://download.pytorch.org/whl/cpu saves gigabytes:
#   make run TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV   := .venv
ifeq ($(OS),Windows_NT)
BIN    := $(VENV)/Scripts
else
BIN    := $(VENV)/bin
endif
INDEX  := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(INDEX)

.PHONY: run test lint docs bench clean

run: $(VENV)/run.done
	$(BIN)/playattention train gpt --dataset playhouse \
	    --model.seq-size 128 --train.steps 2200 --train.learning-rate 3e-3 --train.eval-every 550
	@echo "(once in each terminal, before the commands above: source $(BIN)/activate)"

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow and not browser"

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/docs.done
	$(BIN)/python docs/pages.py --check
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs site
	@echo "site/index.html"

bench: $(VENV)/dev.done
	$(BIN)/playattention bench --out benchmarks/results/bench.json --plot docs/images/bench.png
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/ingestion.py
	$(BIN)/python benchmarks/xray.py

$(VENV)/run.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "playattention needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (choose another: make run PYTHON=python3.12)")'
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (PyTorch is large: minutes the first time)"
	$(PIP) --editable .
	@touch $@

$(VENV)/dev.done: $(VENV)/run.done
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/docs.done: $(VENV)/run.done
	$(PIP) --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
