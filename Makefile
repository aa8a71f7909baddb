# The verbs of this project. `make help` prints this list from the comments.
SHELL := /bin/bash
BUILD ?= build
JOBS ?= 2

.PHONY: all
all: build  ## same as `make build`

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## ?(.*)/  make \1|\2/' | column -t -s '|'

.PHONY: deps
deps:  ## installs what the build needs (Debian 12, as root; elsewhere it names what is missing)
	.ci/deps

.PHONY: deps-test
deps-test: deps  ## installs the real servers and clients that the tests and the demo use
	.ci/deps-test

$(BUILD)/build.ninja: CMakeLists.txt
	cmake -G Ninja -S . -B $(BUILD)

.PHONY: build
build: deps $(BUILD)/build.ninja  ## builds the binary, build/pillion
	ninja -C $(BUILD) -j$(JOBS) pillion

.PHONY: demo
demo: deps-test build  ## raises a shop in a mesh on this machine and shows ten things about it, two minutes
	PILLION_BIN=$(abspath $(BUILD))/pillion examples/shop/demo.sh

.PHONY: build-tests
build-tests: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j$(JOBS)

.PHONY: test
test: deps-test build build-tests  ## unit tests, fuzz corpora, golden files; black-box, parity and namespace tests of the binary
	.ci/test $(BUILD)

.PHONY: conformance
conformance: deps-test build build-tests  ## h2spec, h2specd and our own suites against the binary: a line each with cases and passed
	ninja -C $(BUILD) -j$(JOBS) perf_load
	PILLION_BIN=$(abspath $(BUILD))/pillion python3 tests/conformance/conformance.py

.PHONY: asan
asan: deps-test  ## all of `make test` under AddressSanitizer and UBSan, in build-asan/
	cmake -G Ninja -S . -B build-asan -DPILLION_SANITIZE=address,undefined >/dev/null
	ninja -C build-asan -j$(JOBS)
	.ci/test build-asan

.PHONY: sim
SEEDS ?= 500
sim: $(BUILD)/build.ninja  ## SEEDS=n random worlds of the simulator from now on; PILLION_SEED=n replays one
	ninja -C $(BUILD) -j$(JOBS) unit_sim
	PILLION_SEEDS=$(SEEDS) PILLION_FIRST_SEED=$${PILLION_FIRST_SEED:-$$(date +%s)000} $(BUILD)/unit_sim -tc='sim: random worlds*'

.PHONY: check
check: deps $(BUILD)/build.ninja  ## layers, sizes, banned tokens, format, headers that stand alone
	python3 tests/lint/layers.py
	python3 tests/lint/limits.py
	python3 tests/lint/tokens.py
	tests/lint/format.sh
	BUILD=$(BUILD) tests/lint/headers.sh

.PHONY: perf
ROWS ?=
perf: deps-test build  ## costs beside a byte pump, HAProxy, nginx, nghttpx and Envoy, with a verdict a row, an hour; ROWS=tcp,http1-64-2h
	ninja -C $(BUILD) -j$(JOBS) perf_load
	PILLION_BIN=$(abspath $(BUILD))/pillion PERF_BUILD=$(abspath $(BUILD)) perf/compare/compare.py --only "$(ROWS)"

.PHONY: perf-check
perf-check: deps $(BUILD)/build.ninja  ## the parts of the proxy by themselves: fails where one is 15 % slower than recorded; RECORD=1 records
	ninja -C $(BUILD) -j$(JOBS) perf_micro
	python3 perf/micro/check.py --program $(BUILD)/perf_micro $(if $(RECORD),--record)

.PHONY: clean
clean:  ## removes what was built
	rm -rf build build-asan
