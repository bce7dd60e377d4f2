#!/usr/bin/env bash
# The RabbitMQs that the tests run on: the installed one, and newer ones from newer Debians, each in a folder of target/.
#
#     tests/rabbitmq.sh install VERSION…        installs those that are not there yet, by debootstrap
#     tests/rabbitmq.sh run VERSION COMMAND…    becomes a command that sees the files of that Debian
#     tests/rabbitmq.sh release VERSION         prints which release that is, such as 4.3.6; nothing where there is none
#     tests/rabbitmq.sh remove                  removes what was installed
#
#     3.10    Debian 12, installed by tests/setup.sh
#     4.0     Debian 13 (trixie)
#     4.3     Debian unstable (sid), which moves on: then a newer release stands for it
#
# What is installed is a whole small Debian with RabbitMQ and its own Erlang, in target/rabbitmq/VERSION: one or two minutes
# and 300 MB, and root or sudo, once. To run it needs neither. A command gets a mount namespace of its own (and a user
# namespace where it is not root's), in which the folder is the root and has /proc, /dev and /tmp of the machine. That
# ends with the last process in it, however that ends, so nothing stays mounted. The network is shared, pids are real.
#
# DEBIAN_MIRROR names another mirror than the one that apt uses here.
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target/rabbitmq

fail() { echo "rabbitmq.sh: $*" >&2 && exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

suite_of() {
    case $1 in
        3.10) echo '' ;;
        4.0) echo trixie ;;
        4.3) echo sid ;;
        *) fail "no RabbitMQ $1 here; there are 3.10, 4.0 and 4.3" ;;
    esac
}

# The file system that a version sees.
root_of() { if [ "$1" = 3.10 ]; then echo ''; else echo "$folder/$1"; fi; }

# The mirror that apt is configured with, if it is one of Debian itself, in either of apt's formats.
mirror() {
    local found
    found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -Eo '^(deb|URIs:) .*' | grep -Eo 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
    echo "${DEBIAN_MIRROR:-${found:-http://deb.debian.org/debian}}"
}

install() {
    local version=$1 suite root
    suite=$(suite_of "$version")
    root=$(root_of "$version")
    if [ -z "$suite" ] || [ -n "$(release "$version")" ]; then return; fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail "RabbitMQ $version needs root or sudo, for debootstrap; to test without it: make test rabbitmq=3.10"
    fi
    # In sudo's path, not always in ours.
    PATH=$PATH:/usr/sbin:/sbin
    command -v debootstrap >/dev/null || fail "debootstrap not found; run tests/setup.sh"
    echo "rabbitmq.sh: installing RabbitMQ $version from Debian $suite into target/rabbitmq/$version"
    # A mirror in the midst of an update may lack what it lists.
    bootstrap "$suite" "$root" || bootstrap "$suite" "$root" || fail "no RabbitMQ $version; debootstrap's last words:
$(tail -n 20 "$root.log")
To test without it: make test rabbitmq=3.10"
    if [[ $(release "$version") != "$version".* ]]; then
        echo "rabbitmq.sh: Debian $suite has RabbitMQ $(release "$version") now, which stands for $version"
    fi
}

# Makes a Debian with RabbitMQ, which gets its name when it is whole, without the packages that it was made of. What
# debootstrap mounts on the way goes with its namespace.
bootstrap() {
    local suite=$1 root=$2
    mkdir -p "$folder" && as_root rm -rf --one-file-system "$root.new" &&
        as_root unshare --mount debootstrap --variant=minbase --include=rabbitmq-server "$suite" "$root.new" "$(mirror)" \
            </dev/null >"$root.log" 2>&1 &&
        as_root rm -rf "$root.new/var/cache/apt" "$root.new/var/lib/apt/lists" &&
        echo "127.0.0.1 localhost" | as_root tee "$root.new/etc/hosts" >/dev/null &&
        as_root mv "$root.new" "$root" && rm -f "$root.log"
}

run() {
    local root
    root=$(root_of "$1")
    shift
    if [ -z "$root" ]; then exec "$@"; fi
    local namespaces=(--mount)
    if [ "$(id -u)" != 0 ]; then namespaces+=(--user --map-root-user); fi
    # Each step becomes the next one, so that the pid stays.
    # shellcheck disable=SC2016 # for the inner shell
    exec unshare "${namespaces[@]}" /bin/sh -ec '
        PATH=$PATH:/usr/sbin:/sbin
        root=$1 && shift
        for name in proc dev tmp; do mount --rbind "/$name" "$root/$name"; done
        cd / && exec chroot "$root" "$@"' sh "$root" "$@"
}

release() {
    local library
    for library in "$(root_of "$1")"/usr/lib/rabbitmq/lib/rabbitmq_server-*; do
        if [ -d "$library" ]; then echo "${library##*-}"; fi
    done
}

remove() {
    if [ -e "$folder" ]; then as_root rm -rf --one-file-system "$folder"; fi
}

command=${1:-}
shift || true
case $command in
    install) for version in "$@"; do install "$version"; done ;;
    run) suite_of "$1" >/dev/null && run "$@" ;;
    release) suite_of "$1" >/dev/null && release "$1" ;;
    remove) remove ;;
    *) fail "usage: tests/rabbitmq.sh install VERSION… | run VERSION COMMAND… | release VERSION | remove" ;;
esac
