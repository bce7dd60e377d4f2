#!/usr/bin/env bash
# Runs stories on one RabbitMQ after the other, and says how many passed on which.
#
#     tests/brokers.sh VERSION… -- [WHAT…]      WHAT goes to the test binary: names of stories, --skip NAME, …
#
# tests/setup.sh --brokers has installed them. The last lines are a summary; the code is 1 where any story failed. All that
# was printed for a version is in target/brokers/VERSION.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

versions=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do versions+=("$1") && shift; done
if [ $# -gt 0 ]; then shift; fi

if [ ${#versions[@]} = 0 ]; then echo "brokers: left out, as it was asked for: no story runs on a newer RabbitMQ" && exit 0; fi

failed='' summary=()
mkdir -p target/brokers
for version in "${versions[@]}"; do
    release=$(tests/rabbitmq.sh release "$version")
    log=target/brokers/$version.txt
    echo "brokers: on RabbitMQ ${release:-$version}"
    TEST_RABBITMQ=$version cargo test --release --package nova-host --test e2e -- "$@" 2>&1 | tee "$log" || failed=yes
    passed=$(grep -Eo '[0-9]+ passed; [0-9]+ failed' "$log" | tail -n 1) || true
    summary+=("brokers: RabbitMQ ${release:-$version}: ${passed:-nothing ran}")
done
for line in "${summary[@]}"; do echo "$line"; done
if [ -n "$failed" ]; then exit 1; fi
