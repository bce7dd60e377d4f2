#!/usr/bin/env bash
# Builds the projects in handlers/languages/ with `nova-host build`: target/languages/NAME.wasm.
#
#     handlers/languages.sh NOVA-HOST [--all]
#
# What has not changed since is not built again. A project whose language's tools are missing, or are others than these, is
# skipped with a line that says so; with --all that is an error. tests/setup.sh installs them all, into target/tools.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root out="$root/target/languages"
host=$1
all=${2:-}

say() { printf 'languages: %s\n' "$*"; }

export PATH="$root/target/tools/bin:$root/target/tools/node_modules/.bin:$PATH"
# Large components take long to compile on a busy machine; whoever serves them finds their code in this cache.
settings=(--set "handlers.cache=$out/cache" --set handlers.compile_timeout=1h)

# What a component is made of: the project, what the build adds, and the versions of the tools.
stamp() {
    (
        cd "$root"
        find -L "$1" guest-sdk wit host/src/project tests/languages/requirements.txt tests/languages/package.json \
            -name .nova -prune -o -name node_modules -prune -o -name __pycache__ -prune -o -type f -print0 |
            sort -z | xargs -0 sha256sum
    ) | sha256sum
}

mkdir -p "$out"
failed=
for folder in "$root"/handlers/languages/*/; do
    name=$(basename "$folder")
    [[ $name == wit ]] && continue
    now=$(stamp "handlers/languages/$name")
    if [[ -e $out/$name.wasm && $(cat "$out/.$name.stamp" 2>/dev/null) == "$now" ]]; then
        say "target/languages/$name.wasm: unchanged"
        continue
    fi
    if said=$("$host" build "$folder" --output "$out/$name.wasm" "${settings[@]}" 2>&1); then
        printf '%s\n' "$now" >"$out/.$name.stamp"
        say "target/languages/$name.wasm: $(stat --format=%s "$out/$name.wasm") bytes, new"
    else
        said=${said#nova-host: }
        if [[ -z $all ]]; then
            say "skipping $name: ${said%%$'\n'*}"
        else
            say "$name: $said" >&2
            failed=1
        fi
    fi
done
[[ -z $failed ]]
