# The project's tasks. `make` lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help demo test deploycheck chaos fuzz robust check bench fmt docs advisories release sbom reproducible quality

help: ## list the tasks
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## show it working on real media; INPUT=path-or-url takes your own
	@scripts/setup ffmpeg curl sample
	@scripts/demo

test: ## install what the tests need and run them all
	@scripts/setup ffmpeg heif vips fonts curl sample nextest postgres pgbouncer seaweedfs azurite clients browser schemathesis promtool
	REELWAY_TEST_WEED=$(CURDIR)/target/tools/seaweedfs/bin/weed \
		scripts/with-postgres cargo nextest run --workspace --locked --no-fail-fast
	cargo test --workspace --locked --doc --quiet
	@$(MAKE) --no-print-directory deploycheck
	@$(MAKE) --no-print-directory fuzz SECONDS=10

fuzz: SECONDS ?= 60
fuzz: ## look for inputs that break a decoder, SECONDS=60 for each of them
	@scripts/setup c++
	@scripts/fuzz $(SECONDS)

quality: ## measure what each encoder's numbers look like; it goes on where it was stopped
	@scripts/setup ffmpeg python3 sample clips
	python3 -B scripts/quality measure
	python3 -B scripts/quality plot
	python3 -B scripts/quality choose

robust: ## send every file below DIR through a server as every kind of job
	@scripts/setup ffmpeg heif
	REELWAY_ROBUST_DIR=$(abspath $(DIR)) cargo test --locked --quiet --test story -- \
	    --ignored --exact --nocapture \
	    robust::a_folder_of_arbitrary_files_ends_as_every_kind_of_job

chaos: SECONDS ?= 600
chaos: ## let everything go wrong for SECONDS=600 and check what became of it; SEED=n repeats
	@scripts/setup ffmpeg postgres
	REELWAY_CHAOS_SECONDS=$(SECONDS) REELWAY_CHAOS_SEED=$(SEED) scripts/with-postgres \
	    cargo test --locked --quiet --test chaos -- --ignored --exact --nocapture \
	    a_long_run_of_faults_ends_with_a_clean_history

deploycheck: ## read the deployment files with the parsers of those who will read them
	@scripts/setup deploycheck
	@target/deploycheck/bin/python scripts/deploycheck

check: ## format, lints, licences, unused dependencies, documentation
	@scripts/setup deny machete
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo tree --manifest-path fuzz/Cargo.toml --locked --quiet >/dev/null
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo deny --log-level error check bans licenses sources
	cargo machete
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items --quiet

bench: ## compare with ffmpeg typed by hand, and a full store with an empty one
	@scripts/setup ffmpeg vips sample python3 postgres wrk express
	@REELWAY_TEST_FSYNC=on scripts/with-postgres python3 -B scripts/bench
	@REELWAY_TEST_FSYNC=on scripts/with-postgres cargo bench --locked --quiet --bench store --bench pieces

fmt: ## format the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

docs: ## write the pages that are made from the code
	REELWAY_UPDATE_DOCS=1 cargo nextest run --workspace reference_page

advisories: ## look for known vulnerabilities (needs the network)
	cargo deny check advisories

release: ## build the release and its bill of materials into artefacts/
	@scripts/setup cyclonedx python3
	@scripts/release

sbom: ## write what the binary is made of (CycloneDX) into artefacts/
	@scripts/setup cyclonedx python3
	@scripts/sbom

reproducible: ## prove that two builds in two folders are the same to the byte
	@scripts/setup cyclonedx python3
	@scripts/reproducible
