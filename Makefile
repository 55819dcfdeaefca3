# Thin verbs over CMake. `make help` lists them.
.DEFAULT_GOAL := all
SHELL := /bin/bash
JOBS ?= $(shell nproc)
KAPPA_TEST_SCALE ?= 1
export KAPPA_TEST_SCALE

.PHONY: all help deps demo test bench soak install clean format tidy docs tests-built

all: build/kappa ## build the release programs: build/kappa, build/kappa-nexmark, build/kappa-flights

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install what is missing of packages.txt (Debian 12, root)
	@tools/deps

build/kappa: deps FORCE
	@cmake --preset release > build.log 2>&1 || { cat build.log; rm -f build.log; exit 1; }
	@rm -f build.log
	@cmake --build build -j $(JOBS)

FORCE:

demo: all ## a year of flights through the engine: install, build, fetch the data, run the story
	@examples/flights/demo $(DEMO_FLAGS)

tests-built: deps
	@cmake --preset dev > /dev/null
	@cmake --build build/dev -j $(JOBS) --target all tests

test: deps all tests-built ## install what is missing, build, run every test; closes with "N passed, N failed"
	@tests/run

bench: all ## every figure that exists, beside its yardstick (BENCH_FLAGS=--quick: a minute)
	@cmake --build build -j $(JOBS) --target benches
	@bench/run $(BENCH_FLAGS)

soak: all tests-built ## long campaigns: random histories and queries at scale (KAPPA_SOAK_SCALE, default 100)
	@cmake --preset soak > /dev/null
	@cmake --build build/soak -j $(JOBS) --target test_tests_law_law test_sim_db_sim test_sim_db_faults_sim \
		test_sim_log_sim test_sim_log_flips_sim test_sim_log_rot_sim test_sim_log_compact_sim \
		test_sim_log_pace_sim test_sim_db_columns_sim test_sim_db_expiry_sim
	@KAPPA_TEST_SCALE=$${KAPPA_SOAK_SCALE:-100} tests/run --soak

install: all ## install into PREFIX (default /usr/local)
	@cmake --install build --prefix $${PREFIX:-/usr/local}

docs: all ## write what is made from the code again: docs/CONFIG.md, docs/KAFKA.md, docs/sql.md
	@build/kappa help config --markdown > docs/CONFIG.md
	@build/kappa help kafka > docs/KAFKA.md
	@tools/sql-doc build/kappa > docs/sql.md

format: ## clang-format over the tree
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

tidy: all ## the house's checks alone: rules, symbols, clang-tidy
	@cmake --preset dev > /dev/null
	@tools/tidy && tools/symbols && tools/lint

clean: ## remove everything built
	@rm -rf build
