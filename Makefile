# Each target works alone from a fresh clone: it makes .venv itself.
PYTHON ?= python3
LOWEST_PYTHON ?= 3.11
BIN := .venv/bin
LOWEST_TESTS := $(wildcard tests/images tests/video tests/batch tests/test_tables.py tests/test_pipeline.py tests/demo \
	tests/commands/test_analyze.py)
NOTEBOOKS ?= notebooks/*.ipynb notebooks/solutions/*.ipynb notebooks/reports/*.ipynb
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

LESSON ?= notebooks/02_face_detection.ipynb
SITE := docs/_build

.PHONY: help demo test style test-lowest lab notebooks docs slides bench lock clean

help:                   ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: .venv/analysis    ## analyse sample photos, or PHOTO=me.jpg, and write a page that shows the results
	@$(BIN)/facekit demo $(if $(PHOTO),"$(PHOTO)") --output demo

test: style             ## style, types, imports, tests and examples; notebooks must reproduce their stored outputs
	$(BIN)/python -m pytest --ignore tests/browser --numprocesses 2 --dist worksteal
	$(BIN)/python -m pytest tests/browser --numprocesses 2 --dist loadfile  # after the others: JupyterLab and Chromium need both cores

style: .venv/everything ## style, types and imports alone, in half a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-lowest: .venv/everything ## quick tests of analysis with the oldest dependencies that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(LOWEST_PYTHON) .venv/lowest
	$(BIN)/uv pip install --quiet --python .venv/lowest --resolution lowest-direct --editable '.[demo,heif]' 'pytest>=8.2'
	.venv/lowest/bin/python -m pytest -p no:cacheprovider -m 'not data' -k 'not TestApp and not TestTrain and not TestCrossvalidate' $(LOWEST_TESTS)

lab: .venv/everything   ## open the first lesson of the course in JupyterLab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

notebooks: .venv/everything ## run all notebooks, or NOTEBOOKS="notebooks/01*.ipynb", and store their outputs
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		--ClearMetadataPreprocessor.enabled=True --ClearMetadataPreprocessor.clear_cell_metadata=False \
		--ClearMetadataPreprocessor.preserve_nb_metadata_mask="['kernelspec', 'language_info']" $(NOTEBOOKS)

docs: .venv/everything  ## build the site in docs/_build/html, from stored outputs and without a network
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --conf-dir docs --doctree-dir $(SITE)/doctrees . $(SITE)/html

slides: .venv/everything ## make slides of LESSON=notebooks/02_face_detection.ipynb in docs/_build/slides; showing them needs a network
	$(BIN)/jupyter nbconvert --to slides --no-input --SlidesExporter.reveal_scroll=True --output-dir $(SITE)/slides $(LESSON)

bench: .venv/everything ## measure speed and accuracy beside other packages
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/webcam.py

lock: .venv/everything  ## pin the newest versions that pyproject.toml allows in requirements.txt
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

clean:                  ## remove what make created
	rm -rf .venv demo dist $(SITE) docs/reference/api .mypy_cache .import_linter_cache .pytest_cache .ruff_cache
