# What there is to do here. Each target says what it installs, where it installs anything.
#
# Everything is built in the release profile: tests and programs then share what is slow to compile. `test` does not
# `build` first, for cargo makes target/release/nova-host for the tests too.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
started := $(shell date +%s)
# What `test` runs on: everything on RabbitMQ 3.10, and what depends on the broker most on the newest too.
rabbitmq := 3.10 4.3
newer := $(filter-out 3.10,$(rabbitmq))
# How many servers each story of `cloud` boots, and which stories; none named is all.
boots := 100
stories :=
# Stories that never see one.
without_broker := tidy:: cli:: compile:: languages::new:: languages::script:: languages::stories:: languages::typed:: \
    languages::web:: languages::granted::
# What a run wrote, and the end of a rule whose tests failed: why, once more, where nobody has to look for it.
log := target/test.log
tell := { echo "What failed, once more:"; grep -A 3 ' panicked at ' $(log) | cut -c -300 | tail -n 50; exit 1; }
.PHONY: help build demo test cloud brokers answers soak bench lint clean

help: ## List the targets.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

build: ## Install a C compiler where there is none; build target/release/nova-host and target/handlers/NAME.wasm.
	@tests/setup.sh --compiler-only
	cargo build --release --package nova-host
	handlers/build.sh
	handlers/languages.sh target/release/nova-host

demo: build ## Build, then show a service at work.
	tests/demo.sh

test: ## Install what the tests need (RabbitMQ, Redis, oslo.messaging, Chromium, the languages' compilers), build, and run every test.
	tests/setup.sh $(if $(newer),--brokers $(newer))
	handlers/build.sh
	cargo test --workspace --release --no-run
	handlers/languages.sh target/release/nova-host --all
	cargo test --workspace --release 2>&1 | tee $(log) || $(tell)
	tests/brokers.sh $(newer) -- topology:: delivery:: faults:: refusals:: releases:: 2>&1 | tee $(log) || $(tell)
	@seconds=$$(($$(date +%s) - $(started))); echo "make test: all passed in $$((seconds / 60)) min $$((seconds % 60)) s"

cloud: build ## Boot and delete servers of a real nova, through Nova Host, while its parts are killed (boots=100, stories=…).
	tests/setup.sh --cloud
	tests/cloud/cloud.py run --boots $(boots) $(stories)

brokers: ## Run every story that speaks to a broker on RabbitMQ 3.10, 4.0 and 4.3.
	tests/setup.sh --brokers
	handlers/build.sh
	cargo test --workspace --release --no-run
	handlers/languages.sh target/release/nova-host --all
	tests/brokers.sh 3.10 4.0 4.3 -- $(addprefix --skip ,$(without_broker))

answers: ## Have RabbitMQ 3.10, 4.0 and 4.3 say what they may say; write target/rabbitmq-answers.md.
	tests/setup.sh --brokers
	target/venv/bin/python tests/brokers/answers.py 3.10 4.0 4.3 >target/rabbitmq-answers.md

soak: ## Run the stories about faults, attacks and exchanging handlers many times as long, under load.
	tests/setup.sh
	handlers/build.sh
	NOVA_HOST_SOAK=1 cargo test --release --package nova-host --test e2e -- --nocapture --test-threads 2 faults:: neighbours:: swap::load::

bench: ## Measure against a native server and oslo.messaging's, by stage, language and scale; write docs/performance.md.
	tests/setup.sh
	handlers/build.sh
	cargo test --workspace --release --no-run
	handlers/languages.sh target/release/nova-host --all
	cargo bench --package nova-host --bench stages
	NOVA_HOST_BENCH=1 cargo test --release --package nova-host --test e2e -- --nocapture --exact performance::what_is_measured_can_be_measured

lint: ## Check the format and the lints of all Rust code, as CI does.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release -- -D warnings

clean: ## Remove everything that was built or installed in target/.
	tests/rabbitmq.sh remove
	cargo clean
