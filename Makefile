# Each target works alone from a fresh clone: it makes .venv itself.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS ?= notebooks/*.ipynb notebooks/solutions/*.ipynb notebooks/reports/*.ipynb
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lab notebooks bench lock clean

demo: .venv/analysis   ## analyse sample photos, or PHOTO=me.jpg, and make a page of it
	@$(BIN)/facekit demo $(if $(PHOTO),"$(PHOTO)") --output demo

test: .venv/everything  ## style and tests; notebooks give what is stored in them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --ignore tests/browser --numprocesses 2 --dist worksteal
	$(BIN)/python -m pytest tests/browser --numprocesses 2 --dist loadfile  # after the others: JupyterLab and Chromium want both cores

lab: .venv/everything   ## JupyterLab, on the course's first lesson
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

notebooks: .venv/everything ## run all notebooks, or NOTEBOOKS="notebooks/01*.ipynb", and store what they give
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		--ExecutePreprocessor.store_widget_state=False $(NOTEBOOKS)

bench: .venv/everything ## side by side with peers
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/webcam.py

lock: .venv/everything  ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.txt

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "facekit needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv

.venv/analysis: .venv/bin/python pyproject.toml requirements.txt
	$(PIP) --constraint requirements.txt --editable '.[demo]'
	@touch $@

.venv/everything: .venv/bin/python pyproject.toml requirements.txt
	$(PIP) --requirement requirements.txt
	$(PIP) --no-deps --editable .
	@touch $@ .venv/analysis

clean:                  ## remove what make made
	rm -rf .venv demo .pytest_cache .ruff_cache
