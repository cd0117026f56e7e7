# `make help` explains itself; `make demo` and `make test` are all that a newcomer needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ADDRESS ?= 127.0.0.1
PORT ?= 5000

DEMO := data/demo
LOGS := $(DEMO)/raw
POOL := $(DEMO)/features/datapools
DEMO_DAYS ?= 21

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL := 3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ To begin

.PHONY: help
help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: PYTHON (now %s, 3.11 or later), VENV (now %s), PORT (now %s)\n' "$(PYTHON)" "$(VENV)" "$(PORT)"

.PHONY: demo
demo: reports/figures/demo.png ## from simulated Zeek logs to a forecast through the running service, and its picture
	@printf '\nThe picture: reports/figures/demo.png\nSwagger UI:  run "make serve" and open http://%s:%s/api\n' "$(ADDRESS)" "$(PORT)"

.PHONY: test
test: $(VENV)/.test ## install what the tests need and pass all of them (CI's own too: make test-ci)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not ci"

.PHONY: test-fast
test-fast: $(VENV)/.test ## the tests without the slow ones
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow and not ci"

.PHONY: test-ci
test-ci: $(VENV)/.test ## those that take minutes: the pages' commands, 2,000 odd requests, 50 clients at once
	$(BIN)/python -m pytest -n auto --dist worksteal -m ci

.PHONY: serve
serve: $(VENV)/.installed ## the service with the demo's data and models, until Ctrl-C (PORT=5000)
	@printf 'Swagger UI: http://%s:%s/api\n' "$(ADDRESS)" "$(PORT)"
	MODS_DATA_PATH=$$([ -d $(POOL) ] && echo $(DEMO) || echo data) \
	$(BIN)/deepaas-run --listen-ip $(ADDRESS) --listen-port $(PORT)

##@ The environment

.PHONY: install
install: $(VENV)/.installed ## the package with its pinned dependencies, in $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit("MODS needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(VENV)/.installed: $(VENV)/bin/pip requirements.txt setup.cfg
	@echo "Installing MODS and what it needs into $(VENV) (a few minutes the first time) ..."
	$(BIN)/pip install --quiet -r requirements.txt
	@# setuptools warns at length of what an editable installation is.
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install --quiet -r requirements-dev.txt
	@touch $@

.PHONY: requirements
requirements: $(VENV)/bin/pip ## pin the newest dependencies that setup.cfg admits
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile setup.cfg --universal --python-version 3.11 --upgrade --quiet --no-annotate --custom-compile-command "make requirements" -o requirements.txt
	$(BIN)/uv pip compile setup.cfg --extra test --extra check --extra docs --extra notebooks --universal --python-version 3.11 --constraint requirements.txt --quiet --no-annotate --custom-compile-command "make requirements" -o requirements-dev.txt

.PHONY: clean
clean: ## remove what the demo and the tools made (not the environment)
	rm -rf $(DEMO) reports/figures/demo.png models/demo_lstm.zip models/demo_conv1d.zip build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

##@ Quality

.PHONY: check
check: $(VENV)/.test ## style, types, spelling and security of the code, the catalogue's files, the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive mods --configfile pyproject.toml
	$(BIN)/codespell
	$(BIN)/hadolint docker/Dockerfile
	$(MAKE) --no-print-directory catalogue-check

.PHONY: catalogue-check
catalogue-check: $(VENV)/.test ## the platform's own check of ai4-metadata.yml and metadata.json
	$(BIN)/ai4-metadata validate --metadata-version 2.3.0 ai4-metadata.yml
	$(BIN)/ai4-metadata validate --metadata-version 1.0.0 metadata.json

.PHONY: coverage
coverage: $(VENV)/.test ## the tests with their coverage by line and branch, at least 90 % (pyproject.toml)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not ci" --cov --cov-report=term --cov-report=xml

.PHONY: audit
audit: $(VENV)/.test ## known vulnerabilities of the pinned dependencies (asks a database on the network)
	$(BIN)/pip-audit --requirement requirements.txt --no-deps --disable-pip

.PHONY: security
security: audit ## the same, and security of the code
	$(BIN)/bandit --quiet --recursive mods --configfile pyproject.toml

.PHONY: test-spark
test-spark: $(VENV)/.test ## the tests of the Spark engine (installs pyspark; Java 17 comes from the system)
	$(BIN)/pip install --quiet --constraint requirements.txt 'pyspark >=4,<5'
	$(BIN)/python -m pytest mods/tests/test_engines.py -k spark

.PHONY: wheel-check
wheel-check: $(VENV)/.test ## a built wheel works in an empty environment, away from the checkout
	MODS_WHEEL_CLEAN=1 $(BIN)/python -m pytest mods/tests/test_wheel.py

.PHONY: image-check
image-check: ## build the image without Docker, start it and forecast through it (root, buildah, debootstrap, 12 GB)
	docker/image_check.sh

.PHONY: release-check
release-check: $(VENV)/.test ## build wheel and sdist, and check all that a release needs
	rm -rf build/release
	$(BIN)/python -m build --outdir build/release
	$(BIN)/twine check --strict build/release/*
	$(BIN)/python .ci/release_check.py build/release

##@ The documentation

.PHONY: docs
docs: $(VENV)/.test ## build/docs/index.html; every warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs build/docs

.PHONY: docs-links
docs-links: $(VENV)/.test ## ask every address in the documentation (needs the network)
	$(BIN)/python -m sphinx --quiet --builder linkcheck docs build/docs-links

.PHONY: notebooks
notebooks: $(VENV)/.test ## run the notebooks from the first cell to the last; their pages: build/notebooks/*.html
	$(BIN)/python -m jupyter nbconvert --log-level ERROR --execute --to html --output-dir build/notebooks notebooks/*.ipynb

##@ The shipped models

.PHONY: default-models
default-models: $(VENV)/.installed ## make the shipped checkpoints and the sample from simulated traffic
	$(BIN)/python -m mods.dataset.sample data/test/sample-test-w01h-s10m.tsv
	$(BIN)/python -m mods.models.pretraining --out models

# The demo, step by step; each step is made again only when what it rests on has changed.

$(LOGS)/incidents.tsv: | $(VENV)/.installed
	@printf '\n1. Simulate %s days of Zeek logs of a small network\n' "$(DEMO_DAYS)"
	$(BIN)/mods simulate --out $(LOGS) --days $(DEMO_DAYS) --start 2024-03-04 --seed 1 --force

$(POOL)/.built: $(LOGS)/incidents.tsv
	@printf '\n2. Build the datapool of windowed features\n'
	$(BIN)/mods features $(LOGS) --out $(POOL) --window w01h-s10m
	@touch $@

models/demo_lstm.zip: $(POOL)/.built
	@printf '\n3. Train an LSTM on the first 17 days\n'
	$(BIN)/mods train --data $(POOL) --model demo_lstm --model-type LSTM --range '<2024-03-04,2024-03-21)'

models/demo_conv1d.zip: $(POOL)/.built
	@printf '\n4. Train a Conv1D on the same days\n'
	$(BIN)/mods train --data $(POOL) --model demo_conv1d --model-type Conv1D --range '<2024-03-04,2024-03-21)'

$(DEMO)/evaluation.txt: models/demo_lstm.zip models/demo_conv1d.zip
	@printf '\n5. Judge both on the last 4 days, beside persistence and seasonal naive\n'
	@for model in demo_lstm demo_conv1d; do \
	    $(BIN)/mods evaluate --data $(POOL) --model $$model --range '<2024-03-21,2024-03-25)' --baselines persistence,seasonal_naive || exit 1; \
	done > $@
	@cat $@

reports/figures/demo.png: $(DEMO)/evaluation.txt docs/examples/forecast_over_http.py
	@printf '\n6. Forecast through the running service\n'
	MODS_DATA_PATH=$(DEMO) $(BIN)/python docs/examples/forecast_over_http.py --serve \
	    --model demo_lstm --range '<2024-03-22,2024-03-25)' --out $@
