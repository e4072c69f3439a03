# Every task a person does. `make` alone prints them.

PLUGIN ?=
GATEWAY ?= higress
PORT ?= 10000
HTTPBIN_PORT ?= 12345
ADMIN_PORT ?= 9901
REDIS_PORT ?= 6379
PORTS = --port $(PORT) --httpbin-port $(HTTPBIN_PORT) --admin-port $(ADMIN_PORT) --redis-port $(REDIS_PORT)

# Quiet, but for a word before the one time that it takes long.
XTASK = { test -e $${CARGO_TARGET_DIR:-target}/debug/xtask || echo 'building the tasks, once'; } && \
	exec cargo run --quiet --package xtask --
# What becomes a module, or a part of one.
WASM = --workspace --exclude testkit --exclude xtask --target wasm32-wasip1

.PHONY: help build run demo compose test lint fmt wasm-target
.DEFAULT_GOAL := help

help: ## Print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'PLUGIN=... is one of: $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/*/Cargo.toml))))'

build: wasm-target ## Build PLUGIN, or every plugin, for GATEWAY=higress or envoy; prints path and size
	@$(XTASK) build $(PLUGIN) --gateway $(GATEWAY)

run: wasm-target ## Run PLUGIN in a local gateway on PORT, with HTTPBIN_PORT, ADMIN_PORT and REDIS_PORT, until Ctrl-C
	@$(XTASK) run $(PLUGIN) $(PORTS)

demo: wasm-target ## Send the requests in the README of PLUGIN, or of every plugin, and compare the answers
	@$(XTASK) demo $(PLUGIN)

compose: wasm-target ## Prepare PLUGIN for docker/docker-compose.yaml: the same gateway on the image of Higress
	@$(XTASK) compose $(PLUGIN) $(PORTS)

test: wasm-target ## Run the tests of PLUGIN, or every test
	cargo test $(if $(PLUGIN),--package $(PLUGIN),--workspace)

lint: wasm-target ## Check the format, and lint for this machine and for the gateways, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --workspace --all-targets --features shared/stock-envoy -- --deny warnings
	cargo clippy $(WASM) -- --deny warnings
	cargo clippy $(WASM) --features shared/stock-envoy -- --deny warnings

fmt: ## Format the code
	cargo fmt --all

wasm-target:
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1
