# The few commands of this repository. Each gets the machine ready first (tools/setup/setup.sh; nothing to do the second
# time). The build itself is CMake's: see CMakePresets.json.
#
#   make build MLX=cuda13     another MLX: cpu, cuda12, cuda13 (Linux), metal, brew (macOS)

MLX ?=
PORT ?= 8000
MODEL ?= demo
export PATH := $(CURDIR)/build/rust-toolchain/bin:$(PATH):$(HOME)/.cargo/bin
VENV := build/venv/bin
PIPPIN := build/release/pippin

.DEFAULT_GOAL := help
.PHONY: help build package package-try demo serve test asan tsan soak tsan-soak fuzz portability tidy bench-peers bench-cache bench-load check format clean distclean
.NOTPARALLEL:

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: ## Build build/release/pippin
	@echo "== 1 of 2: getting the machine ready (system packages, Rust)"
	@tools/setup/setup.sh build
	@echo "== 2 of 2: building $(PIPPIN); the first time takes some ten minutes on two cores. Lines tell [steps done/all, seconds]"
	@tools/build.sh release pippin $(if $(MLX),-DPIPPIN_MLX=$(MLX))

package: ## Make build/package: a Debian package, a Python wheel and a tarball (Linux; on Debian 12)
	@tools/setup/setup.sh package
	@tools/build.sh release pippin
	@python3 tools/package/package.py --build build/release --out build/package

package-try: ## Install each package of build/package on a bare Debian (debootstrap, root) and ask about a picture
	@python3 tools/package/try_clean.py --packages build/package

demo: build ## Ask the built-in model about words and a picture, and see what its cache saves
	@echo "== The demo: three questions to the built-in model, some seconds"
	@python3 tools/demo/demo.py --pippin $(PIPPIN)

serve: build ## Serve the built-in model (MODEL=directory, PORT=8000) until Ctrl-C
	@echo "Once the server is ready, try from another terminal:"
	@echo "  curl http://127.0.0.1:$(PORT)/v1/chat/completions -H 'Content-Type: application/json' \\"
	@echo "       -d '{\"messages\": [{\"role\": \"user\", \"content\": \"What is Pippin?\"}]}'"
	@exec $(PIPPIN) serve "$(MODEL)" --host 127.0.0.1 --port $(PORT)

test: ## Build and run every test: units, end to end, include rule, format
	@tools/setup/setup.sh test
	@$(VENV)/python tools/run_tests.py --preset release --checks

check: ## The fast lane: format, include rule, unit tests (minutes)
	@tools/setup/setup.sh test
	@$(VENV)/python tools/run_tests.py --preset release --checks --units-only

asan: ## The unit and end-to-end tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/setup/setup.sh test
	@$(VENV)/python tools/run_tests.py --preset asan

tsan: ## The same under ThreadSanitizer
	@tools/setup/setup.sh test
	@$(VENV)/python tools/run_tests.py --preset tsan

soak: build ## Clients of every kind, failures included, for ten minutes (SECONDS=600)
	@tools/setup/setup.sh test
	@$(VENV)/python tests/soak/soak.py --seconds $(or $(SECONDS),600)

tsan-soak: ## The same under ThreadSanitizer, for two minutes (SECONDS=120)
	@tools/setup/setup.sh test
	@tools/build.sh tsan pippin
	@$(VENV)/python tests/soak/soak.py --preset tsan --clients 6 --seconds $(or $(SECONDS),120)

fuzz: ## Fuzz what reads bytes from elsewhere, under the sanitizers (SECONDS=15 each, TARGETS="http parsers")
	@tools/setup/setup.sh fuzz
	@python3 fuzz/fuzz.py --seconds $(or $(SECONDS),15) $(TARGETS)

portability: ## Compile everything with clang and libc++, as nearly as a Mac would
	@tools/setup/setup.sh portability
	@tools/portability/check.sh

tidy: ## Run clang-tidy over the folders that are clean, after `make portability` (WORDS="engine/": others)
	@tools/setup/setup.sh portability
	@$(VENV)/python tools/portability/tidy.py build/portability $(WORDS)

bench-peers: build ## Compare speeds with llama.cpp and mlx-lm, side by side (FULL=1: every case, about an hour)
	@cmake --build --preset release --target read_bandwidth
	@bench/peers/set_up.sh
	@build/venv-peers/bin/python bench/peers/compare.py --pippin $(PIPPIN) $(if $(FULL),--full)

bench-cache: build ## Measure what the caches save (MODELS=demo,2b,8b: the last two with random weights, an hour on a CPU)
	@tools/setup/setup.sh test
	@$(VENV)/python bench/cache/bench_cache.py --pippin $(PIPPIN) --models $(or $(MODELS),demo)

bench-load: build ## Simulate ten thousand users; measure scheduling, and what HTTP costs (MODEL=directory)
	@cmake --build --preset release --target simulate bench_scheduling
	@python3 bench/load/curves.py
	@build/release/bench/bench_scheduling
	@python3 bench/load/serving_cost.py --pippin $(PIPPIN) $(MODEL)

format: ## Format the C++ sources
	@tools/setup/setup.sh test
	@git ls-files '*.h' '*.cpp' | xargs $(VENV)/clang-format -i

clean: ## Remove what was built (keeps MLX, the Rust library and the tests' Python)
	rm -rf build/release build/asan build/tsan build/fuzz build/portability

distclean: ## Remove everything that was built or fetched
	rm -rf build
