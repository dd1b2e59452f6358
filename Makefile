# Everything runs in a virtual environment of its own, .venv, which is made when it is needed.

VENV := .venv
BIN := $(VENV)/bin
NPM := tests/static/node_modules
MODULES := celery_wsprogress/static/celery_wsprogress
REACT := example_app/react
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-versions lint pack docs bench soak fuzz clean system-packages

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: $(VENV)/.demo $(REACT)/build/page.js ## Start the example with everything it needs; Ctrl-C ends it
	@$(BIN)/python -m example_app.demo $(DEMO_OPTIONS)

test: lint pack system-packages $(VENV)/.test $(NPM)/.made $(REACT)/build/page.js ## Check the code and run all tests
	@$(BIN)/python -m pytest -n auto $(PYTEST_OPTIONS)

test-versions: system-packages $(VENV)/.test ## Run the worker's part of the tests with other versions
	@PYTHONPATH=tests $(BIN)/python -m support.version_table $(VERSIONS_OPTIONS)

lint: $(VENV)/.test ## Check style, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

pack: system-packages ## Pack the browser modules as an npm package, into dist/
	@if command -v npm >/dev/null; then mkdir -p dist && cd $(MODULES) && \
		npm pack --silent --pack-destination "$(CURDIR)/dist"; fi

docs: $(VENV)/.test ## Build the documentation
	@$(BIN)/sphinx-build -q -n -W docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.test system-packages ## Measure
	@$(BIN)/python -m benchmarks $(BENCH_OPTIONS)

soak: $(VENV)/.test system-packages ## Break everything again and again while operations run
	@GREENLETS=1000 $(BIN)/python -m pytest -q tests/worker/streams/test_tasks.py -k greenlets
	@PYTHONPATH=.:tests:tests/projects:tests/faults $(BIN)/python -m soak $(SOAK_OPTIONS)

fuzz: $(VENV)/.test ## Send what reads strangers' bytes inputs that are wrong, or nearly right
	@PYTHONPATH=.:tests $(BIN)/python -m fuzz $(FUZZ_OPTIONS)
	@$(BIN)/python -m pytest -q -n auto -m pure --hypothesis-profile=thorough

clean: ## Remove the virtual environment and all caches
	@rm -rf $(VENV) .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf .grimp_cache build dist docs/_build tests/screenshots $(NPM)
	@rm -rf $(REACT)/node_modules $(REACT)/build
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

system-packages:
	@.ci/system-packages

$(VENV)/.made:
	@python=$$(.ci/find-python) && echo "Making $(VENV) with $$python" && \
		"$$python" -m venv --clear $(VENV)
	@touch $@

# One after the other, also with -j: two pips at once would spoil the environment.
$(VENV)/.demo: pyproject.toml | $(VENV)/.made
	@echo "Installing what the demo needs"
	@$(PIP) --editable '.[demo,speed]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "Installing what the tests need"
	@$(PIP) --editable '.[test,demo,speed,docs]'
	@touch $@

# For the tests of the browser modules; nothing of it is shipped. The tests say what is missing.
$(NPM)/.made: tests/static/package.json | system-packages
	@if command -v npm >/dev/null; then echo "Installing what the browser's tests need" && \
		npm install --prefix tests/static --no-package-lock --no-audit --no-fund --silent && \
		touch $@; fi

# The example's page in React, which is built as such pages are. Without npm the page says so itself.
$(REACT)/build/page.js: $(REACT)/package.json $(REACT)/page.jsx $(wildcard $(MODULES)/*.js $(MODULES)/client/*.js $(MODULES)/element/*.js)
	@if command -v npm >/dev/null; then echo "Building the example's page in React" && cd $(REACT) && \
		{ npm install --no-package-lock --no-audit --no-fund --silent && npm run build --silent; } || \
		echo "It could not be built; everything else works without it"; fi
