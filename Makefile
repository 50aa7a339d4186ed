# Each target installs what it needs first (tests/setup.sh) and needs Rust, Python 3 and make.
# A variable may stand before or after the target: `make demo PROVIDER=auth0`.

.DEFAULT_GOAL := help
.PHONY: help setup build package test-package demo dev test instructions torture check audit fuzz bench scale pages screenshots clean

tools = $(CURDIR)/.tools/venv/bin
# The demo, and you after `make dev`, reach the functions through `cargo lambda`.
with_tools = PATH="$(tools):$$PATH"
run = $(with_tools) cargo run --locked --package tests
# What the package is built for: template.yaml's default, unless ARCH says otherwise.
ARCH ?= $(shell sed -n '/^  Architecture:/,/Default:/s/^ *Default: //p' template.yaml)
# The functions, and tests/hot with the same options and so of the same libraries.
build_with_hot = cargo build --release --locked --workspace --exclude tests --exclude fuzz --exclude model
# The demo and the functions in one build, so that each library is compiled once: cargo chooses the
# libraries' features anew for each choice of packages.
build_demo = cargo build --locked $(foreach name,webhook reconcile provision console,--package $(name) --bin $(name)) \
	--package tests --bin demo
run_demo = $(with_tools) "$${CARGO_TARGET_DIR:-target}/debug/demo"
own_arch = $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

setup: ## Install all that the other targets need
	@tests/setup.sh build demo test check

build: ## Build the functions for this machine, as they are deployed
	@tests/setup.sh build
	cargo build --release --locked

package: ## Build what is deployed into .aws-sam/build, for ARCH=arm64|x86_64, and print its sizes
	@tests/setup.sh package
	@case "$(ARCH)" in arm64|x86_64) ;; *) echo "make package: ARCH is arm64 or x86_64" >&2; exit 1;; esac
	PATH="$(CURDIR)/.tools/package/bin:$$PATH" SAM_CLI_TELEMETRY=0 \
		sam build --beta-features --parameter-overrides Architecture=$(ARCH)
	@cd .aws-sam/build && for program in */bootstrap; do \
		printf '%-30s %9d bytes, %8d zipped\n' $$program $$(wc -c <$$program) $$(gzip -c $$program | wc -c); \
	done

test-package: ## Build the package for this machine's processor, and start it where there is nothing but libc
	@tests/setup.sh package test
	$(MAKE) package ARCH=$(own_arch)
	$(run) --bin package

demo: ## Show the main job from nothing; PROVIDER=stack|hexclave|clerk|workos|auth0|supabase, keys: see README
	@tests/setup.sh demo
	$(build_demo)
	$(run_demo)

dev: ## The demo's set-up, which stays up and says what to try
	@tests/setup.sh demo
	$(build_demo)
	$(run_demo) --stay

test: ## Unit tests, then the real binaries against a real Postgres; SEED=7 draws other random cases
	@tests/setup.sh test
	@echo "What is random in the tests is drawn from SEED=$${SEED:-1}, the same each time; for others: make test SEED=$$(date +%s)"
	$(build_with_hot)
	tests/instructions.py target/release/hot
	cargo test --locked --workspace --doc
	cargo test --locked --workspace --lib --bins
	@# They wait more than they work: for a provider's replicas, for back-offs.
	RUST_TEST_THREADS=16 cargo test --locked --workspace --test '*'
	@# Those that list Stack Auth's users again, with the other meaning of its cursors.
	STACK_CURSORS=excluded RUST_TEST_THREADS=16 cargo test --locked --package tests --test scenarios \
		-- reconcile::listing:: reconcile::missing:: long_walk::

instructions: ## Count the instructions of the hottest code; RENEW=1 records them for make test to hold
	@tests/setup.sh test
	$(build_with_hot)
	RENEW=$(RENEW) tests/instructions.py target/release/hot

torture: ## Random schedules of all that can go wrong; SCHEDULES=1000 of each provider or of PROVIDER, from SEED on
	@tests/setup.sh test
	cargo build --release --locked
	SCHEDULES=$${SCHEDULES:-1000} cargo test --locked --workspace --test torture

check: ## Formatting, lints, documentation, licences, template.yaml
	@tests/setup.sh check
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --document-private-items
	"$(tools)/cargo-deny" --locked check --hide-inclusion-graph bans licenses sources
	"$(tools)/cfn-lint" template.yaml

fuzz: ## Feed every reader bad bodies, guided by coverage, each for SECONDS=60
	@tests/setup.sh fuzz
	tests/fuzz/run.sh $(or $(SECONDS),60)

audit: ## Known vulnerabilities of what is linked; downloads a database, so not part of check
	@tests/setup.sh check
	"$(tools)/cargo-deny" --locked check --hide-inclusion-graph advisories

bench: ## Measure beside Node, dlt and COPY, and write the figures; ONLY=webhook,backfill; USERS=1000000 for more
	@tests/setup.sh build bench
	cargo build --release --locked
	$(run) --release --bin bench

pages: ## Time each page of the console beside a database of a million users, or of USERS=20000
	@tests/setup.sh demo
	cargo build --release --locked
	$(run) --release --bin pages

scale: ## Send a part of a million deliveries in an hour, with the providers' rate limits on; SECONDS=30
	@tests/setup.sh build bench
	cargo build --release --locked
	ONLY=scale SECONDS=$(SECONDS) $(run) --release --bin bench

screenshots: ## Take the pictures of docs/console anew, of the real pages in a real browser
	@tests/setup.sh test
	cargo build --release --locked
	SCREENSHOTS="$(CURDIR)/target/screenshots" cargo test --locked --package tests --test browser
	cd docs/console && for picture in *.png; do cp "$(CURDIR)/target/screenshots/$$picture" .; done

clean: ## Remove what was built and installed in this folder
	rm -rf target .tools .aws-sam tests/vendors/node_modules tests/browser/node_modules tests/clients/node_modules \
		tests/bench/peers/webhook-node/node_modules
