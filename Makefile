# pressopt: `make` explains, `make run` and `make test` are the README's two commands.
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Without this, a missing cargo would make the build download a toolchain; a clear error is better.
export MATURIN_NO_INSTALL_RUST = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

SOURCES := pyproject.toml Cargo.toml Cargo.lock $(shell find rust python -name '*.rs' -o -name 'Cargo.toml' -o -name '*.py' -o -name '*.toml' -o -name '*.json')
EXPERIMENT ?= experiments/li-lpscl-symmetric.toml

.PHONY: help run test test-long check format bench doctor clean

help:
	@echo "make run        build and install, then run the main experiment on the twin"
	@echo "                (EXPERIMENT=experiments/NAME.toml for another one)"
	@echo "make test       build and install with the test extra, then run the quick suite"
	@echo "make test-long  many seeds, soaks, hundreds of kills (an hour and more)"
	@echo "make check      formats, lints, types, stub against binary, import contract, cargo tests"
	@echo "make format     let the formatters change the files"
	@echo "make bench      the benchmarks beside their peers"
	@echo "make doctor     is everything here that a build needs?"
	@echo "make clean      remove the virtual environment and what was built"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pressopt needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-stamp: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet .
	@touch $@

$(VENV)/.test-stamp: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet '.[test]'
	@touch $@ $(VENV)/.run-stamp

$(VENV)/.dev-stamp: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet '.[dev]'
	@touch $@ $(VENV)/.test-stamp $(VENV)/.run-stamp

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

bench: $(VENV)/.dev-stamp
	$(BIN)/python -m pip install --quiet '.[bench]'
	$(BIN)/python -m benchmarks

doctor:
	@$(PYTHON) -c 'import sys; print("python", sys.version.split()[0], "ok" if sys.version_info >= (3, 11) else "TOO OLD: 3.11 or later")'
	@$(PYTHON) -c 'import venv, ensurepip; print("venv ok")' || echo "venv MISSING: apt-get install python3-venv"
	@command -v cargo >/dev/null && cargo --version || echo "cargo MISSING: https://rustup.rs (Rust 1.85 or later)"
	@command -v cc >/dev/null && echo "cc ok" || echo "cc MISSING: apt-get install gcc libc6-dev"
	@test -z "$$(ls /dev/ttyUSB* /dev/ttyACM* 2>/dev/null)" || { id -nG | grep -qw dialout && echo "serial ports ok" || echo "serial ports: add yourself to group dialout"; }

clean:
	rm -rf $(VENV) target
