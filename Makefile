# Everything a developer runs. No venv needs to be active, no target needs root; `make` alone lists the targets.
# Set PYTHON to choose the interpreter that the venv is made from: make setup PYTHON=/usr/bin/python3.11

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
LOCK := .ci/requirements.lock
BIN := .venv/bin
STAMP := .venv/.installed
STUBS := .cache/typings/.copied
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Written and checked by the same tool over the same files.
FORMATTED := firmware boards host tests

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## make .venv and install the locked packages and the project into it

.PHONY: demo
demo: setup ## run the demonstration on virtual tokens; results go to .demo
	$(BIN)/bztoken demo --out .demo

# BUILD=development for a developer's board, IMAGE=FILE for an image that is not kept, RECORD=FILE for a line about the
# board in that file, FORCE=1 to write over a token.
.PHONY: flash
flash: setup ## write MicroPython and the firmware to the board BOARD at PORT: make flash BOARD=esp32-devkit PORT=/dev/ttyUSB0
	@test -n "$(BOARD)" -a -n "$(PORT)" || { echo "Name both: make flash BOARD=esp32-devkit PORT=/dev/ttyUSB0"; exit 2; }
	$(BIN)/bztoken flash --board "$(BOARD)" --port "$(PORT)" $(if $(BUILD),--build "$(BUILD)") $(if $(IMAGE),--image "$(IMAGE)") \
		$(if $(RECORD),--record "$(RECORD)") $(if $(FORCE),--force)

# BOARD: where the board cannot tell what it is.
.PHONY: deploy
deploy: setup ## copy what differs of the firmware to a developer's board: make deploy PORT=/dev/ttyUSB0
	@test -n "$(PORT)" || { echo "Name the port of a board with the development build: make deploy PORT=/dev/ttyUSB0"; exit 2; }
	$(BIN)/bztoken deploy --port "$(PORT)" $(if $(BOARD),--board "$(BOARD)")

# PROCESSES=0 for one test after the other in one process.
PROCESSES ?= auto
.PHONY: test
test: setup check java ## run every check and every test, side by side on up to four cores
	$(BIN)/pytest -n $(PROCESSES) --maxprocesses 4

# PORT: of a blank token; NEIGHBOUR: of a second one beside it; HANDS=--hands: somebody looks and presses; LONG=--long;
# RECORD="--record --micropython v1.29.0 --by NAME": write down what was found (tests/README.md "On a board").
.PHONY: test-device
test-device: setup ## run tests/device on a real board: make test-device PORT=/dev/ttyUSB0 [NEIGHBOUR=..]
	@test -n "$(PORT)" || { echo "Name the port of a blank token: make test-device PORT=/dev/ttyUSB0"; exit 2; }
	$(BIN)/pytest tests/device --board="serial:$(PORT)" $(if $(NEIGHBOUR),--neighbour="serial:$(NEIGHBOUR)") $(HANDS) $(LONG) $(RECORD)

.PHONY: check
check: format-check lint types types-firmware compile imports lock-check ## run every check that needs no test run

.PHONY: format
format: setup ## rewrite the Python files in house format
	$(BIN)/ruff format $(FORMATTED)
	$(BIN)/ruff check --select I --fix $(FORMATTED)

.PHONY: format-check
format-check: setup ## fail if `make format` would change a file
	$(BIN)/ruff format --check $(FORMATTED)
	$(BIN)/ruff check --select I $(FORMATTED)

.PHONY: lint
lint: setup ## look for mistakes with ruff
	$(BIN)/ruff check $(FORMATTED)

.PHONY: types
types: setup ## check types of the host tools, the virtual board and the wire formats (strict)
	$(BIN)/mypy

.PHONY: types-firmware
types-firmware: $(STUBS) ## check types of the firmware against the ESP32 MicroPython stubs (strict)
	$(BIN)/mypy --config-file firmware/mypy.ini firmware

.PHONY: compile
compile: setup ## compile the firmware with mpy-cross for both instruction sets of the ESP32
	$(BIN)/python tests/house/compile_firmware.py firmware boards/virtual/bzvirtual/device

.PHONY: imports
imports: setup ## check which package imports which
	$(BIN)/python tests/house/import_rules.py

.PHONY: lock
lock: setup ## write the lock file anew from pyproject.toml (needs the network)
	$(BIN)/uv pip compile pyproject.toml --quiet --extra desk --extra virtual --extra province --extra spark --extra dev --generate-hashes \
		--python-version 3.11 --no-header --no-annotate --output-file $(LOCK)

.PHONY: lock-check
lock-check: setup ## check without the network that the lock file fits pyproject.toml
	$(BIN)/python tests/house/lock_fits.py

.PHONY: java
java: setup ## install a Java for Spark where there is none, if apt-get and root can
	@$(BIN)/python tests/house/java_there.py

.PHONY: bench-token
bench-token: setup ## measure the token against its targets; writes tests/bench/results/token.md (long)
	$(BIN)/python tests/bench/bench_token.py

.PHONY: bench-sync
bench-sync: setup ## measure the sync against its targets; writes tests/bench/results/sync.md (15 minutes)
	$(BIN)/python tests/bench/bench_sync.py

.PHONY: bench-provision
bench-provision: setup ## measure how long one flash and a batch of a hundred tokens take; writes tests/bench/results/provision.md
	$(BIN)/python tests/bench/bench_provision.py

.PHONY: bench-clinic
bench-clinic: setup ## measure the registry of a clinic with 2,000 tokens over 14 days; writes tests/bench/results/clinic.md
	$(BIN)/python tests/bench/bench_clinic.py

.PHONY: bench-contact
bench-contact: setup ## measure how well contacts are told apart, on public recordings; writes tests/bench/results/contact.md
	$(BIN)/python tests/bench/bench_contact.py

.PHONY: bench-matching
bench-matching: setup ## measure the matching against DuckDB, Polars, a dict and Spark; writes tests/bench/results/matching.md (25 minutes)
	$(BIN)/python tests/bench/bench_matching.py

.PHONY: clean
clean: ## remove what checks, tests and the demonstration left behind; .venv stays
	rm -rf .cache .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find firmware boards host tests -name __pycache__ -type d -prune -exec rm -rf {} +

# setuptools comes first and from the lock, so that the one package without a wheel (crcmod, plain Python when there is
# no C compiler) is built by a pinned tool instead of whatever is newest.
$(STAMP): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not. Name one: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	sed -n '/^setuptools==/,/[^\\]$$/p' $(LOCK) | $(PIP_INSTALL) --require-hashes -r /dev/stdin
	$(PIP_INSTALL) --require-hashes --no-build-isolation --use-pep517 -r $(LOCK)
	PYTHONWARNINGS=ignore $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(STUBS): $(STAMP) tests/house/firmware_stubs.py
	@$(BIN)/python tests/house/firmware_stubs.py $(@D)
	@touch $@
