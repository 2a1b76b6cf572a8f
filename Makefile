# pressopt: `make` explains, `make run` and `make test` are the README's two commands.
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# rustup's own folder, in case the shell does not know it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Without this, a missing cargo would make the build download a toolchain; a clear error is better.
export MATURIN_NO_INSTALL_RUST = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_DEFAULT_TIMEOUT ?= 60

# All that ends in the wheel: nothing is built again while none of it is newer than the last installation.
SOURCES := pyproject.toml Cargo.toml Cargo.lock $(shell find rust python -type f \
	'(' -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi' -o -name '*.json' -o -name '*.css' -o \
	-name '*.js' -o -name '*.html' -o -name '*.svg' -o -name '*.xsd' -o -name '*.csv' ')')
# The validator of research bundles: asks for an older rich than import-linter allows, and runs with the newer one.
VALIDATOR := 'roc-validator>=0.13,<0.14'
EXPERIMENT ?= experiments/li-lpscl-symmetric.toml

# $(call install,EXTRAS): build and install, after saying what is missing in words that help.
define install
@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.85 or later, https://rustup.rs"; exit 1; }
@command -v cc >/dev/null || { echo "a C linker is missing: apt-get install gcc libc6-dev"; exit 1; }
@echo "building and installing into $(VENV): minutes the first time, seconds later"
$(BIN)/python -m pip install --quiet $(1)
endef

.PHONY: help run test test-long check format bench doctor clean

help:
	@echo "make run        build and install, then run the main experiment on the twin"
	@echo "                (EXPERIMENT=experiments/NAME.toml for another one)"
	@echo "make test       build and install with the test extra, then run the quick suite"
	@echo "make test-long  many seeds, soaks, hundreds of kills "
	@echo "make check      formats, lints, types, stub against binary, import contract, cargo tests"
	@echo "make format     let the formatters change the files"
	@echo "make bench      the benchmarks beside their peers"
	@echo "make doctor     is everything here that a build needs?"
	@echo "make clean      remove the virtual environment and what was built"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pressopt needs Python 3.11 or later")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "venv is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run-stamp: $(BIN)/python $(SOURCES)
	$(call install,.)
	@touch $@

$(VENV)/.test-stamp: $(BIN)/python $(SOURCES)
	$(call install,'.[test]')
	$(BIN)/python -m pip install --quiet --no-deps $(VALIDATOR)
	@touch $@ $(VENV)/.run-stamp

$(VENV)/.dev-stamp: $(BIN)/python $(SOURCES)
	$(call install,'.[dev]')
	$(BIN)/python -m pip install --quiet --no-deps $(VALIDATOR)
	@touch $@ $(VENV)/.test-stamp $(VENV)/.run-stamp

$(VENV)/.bench-stamp: $(BIN)/python $(SOURCES)
	$(call install,'.[bench]')
	@touch $@ $(VENV)/.run-stamp

run: $(VENV)/.run-stamp
	$(BIN)/pressopt run $(EXPERIMENT)

test: $(VENV)/.test-stamp
	$(BIN)/python -m pytest -m "not long" -n auto

test-long: $(VENV)/.test-stamp
	$(BIN)/python -m pytest -m long -n auto

check: $(VENV)/.dev-stamp
	$(BIN)/ruff format --check python tests benchmarks
	$(BIN)/ruff check python tests benchmarks
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	cargo test --workspace --locked --quiet
	$(BIN)/mypy
	cd $(VENV) && bin/python -m mypy.stubtest pressopt._core
	$(BIN)/lint-imports

format: $(VENV)/.dev-stamp
	$(BIN)/ruff check --fix python tests benchmarks
	$(BIN)/ruff format python tests benchmarks
	cargo fmt --all

bench: $(VENV)/.bench-stamp
	$(BIN)/python -m benchmarks

doctor:
	@bad=0; \
	say() { printf '%-14s %s\n' "$$1" "$$2"; }; \
	miss() { say "$$1" "MISSING: $$2"; bad=1; }; \
	if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then say python "ok, $$($(PYTHON) -c 'import platform; print(platform.python_version())')"; \
	else miss python "3.11 or later: apt-get install python3"; fi; \
	if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; \
	then say venv ok; else miss venv "apt-get install python3-venv"; fi; \
	minor=$$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p'); \
	if [ "$${minor:-0}" -ge 85 ]; \
	then say cargo "ok, 1.$$minor"; else miss cargo "Rust 1.85 or later: https://rustup.rs"; fi; \
	if command -v cc >/dev/null; \
	then say "C linker" ok; else miss "C linker" "apt-get install gcc libc6-dev"; fi; \
	if [ -z "$$(ls /dev/ttyUSB* /dev/ttyACM* 2>/dev/null)" ]; \
	then say "serial ports" "none here; the twin needs none"; \
	elif id -nG | grep -qw dialout || [ "$$(id -u)" = 0 ]; \
	then say "serial ports" ok; \
	else say "serial ports" "add yourself to their group: sudo usermod -aG dialout $$(id -un)"; fi; \
	exit $$bad

clean:
	rm -rf $(VENV) target .bench
