#!/usr/bin/env bash
# Builds every crate in this folder into a component: target/handlers/NAME.wasm; and those in tests/guests, which only the
# stories serve: target/guests/NAME.wasm.
#
# A handler needs nothing but a folder here with a Cargo.toml; the package and the folder have the same name.
# The compiler is rustup's, with its standard library for wasm32-unknown-unknown. Where that cannot be had, Debian's
# rustc-web builds the standard library itself. NOVA_WASM_TOOLCHAIN=rustup or =debian insists on the one or the other.
set -euo pipefail

readonly target=wasm32-unknown-unknown
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly build="$root/target/wasm"

say() { printf 'handlers: %s\n' "$*"; }
die() { printf 'handlers: error: %s\n' "$*" >&2; exit 1; }

# The environment of an outer cargo (tests call this script) is meant for the host's crates: flags would be taken for
# WebAssembly, clippy would stand in for the compiler, and the outer toolchain's libraries for those of another.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTC_WORKSPACE_WRAPPER LD_LIBRARY_PATH
unset "${!CARGO_PROFILE_@}" "${!CARGO_TARGET_@}"
export CARGO_TARGET_DIR="$build"

has_target() {
    local library
    library=$(rustc --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$library/libcore-*.rlib" >/dev/null
}

# Fails where there is no rustup, or no network.
use_rustup() {
    if ! has_target; then
        command -v rustup >/dev/null || return 1
        say "adding the target $target with rustup"
        rustup target add "$target" || return 1
        has_target || return 1
    fi
    # A RUSTC from outside may be of another toolchain than the target.
    unset RUSTC
    cargo=(cargo)
    say "compiler: $(rustc --version)"
}

# Debian's compiler has no standard library for this target, only its source; and no WebAssembly linker, which rustup's
# toolchain has for any target.
use_debian() {
    local packages=(rustc-web cargo-web rust-web-src) missing=() package tools=
    for package in "${packages[@]}"; do
        dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if ((${#missing[@]})); then
        local sudo=()
        ((EUID == 0)) || sudo=(sudo)
        say "installing ${missing[*]} with apt-get"
        "${sudo[@]}" apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
            say "updating apt's lists first"
            "${sudo[@]}" apt-get update --quiet=2
            "${sudo[@]}" apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null
        } || return 1
    fi
    # Any installed toolchain will do: the linker does not care who compiled.
    local folder
    for folder in "$(rustc --print sysroot 2>/dev/null)" "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*; do
        tools=$(compgen -G "$folder/lib/rustlib/*/bin/wasm-component-ld" | head -n 1) && break
    done
    [[ -n $tools ]] || die "no wasm-component-ld: install a Rust toolchain with rustup"
    tools=$(dirname "$tools")
    export PATH="$tools:$tools/gcc-ld:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    cargo=(/usr/bin/cargo "-Zbuild-std=std,panic_abort")
    say "compiler: $("$RUSTC" --version), with the standard library from source"
}

case ${NOVA_WASM_TOOLCHAIN:-} in
    '') use_rustup || { say "no $target from rustup; trying Debian's packages"; use_debian; } || die "no compiler for $target" ;;
    rustup) use_rustup || die "no $target from rustup" ;;
    debian) use_debian || die "no compiler for $target from Debian" ;;
    *) die "NOVA_WASM_TOOLCHAIN is '$NOVA_WASM_TOOLCHAIN': rustup or debian" ;;
esac

# The standard library's debug information is most of a component and of no use in it; the names of functions are what
# a trap's backtrace shows, but the linker takes both for debug information.
export CARGO_PROFILE_HANDLER_STRIP=debuginfo
flags=(-Clink-arg=--keep-section=name)
# Panics name their source file to callers, who have no business with this machine's folders.
flags+=("--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=registry" "--remap-path-prefix=$root=.")
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS

cd "$root" # for .cargo/config.toml, which names the linker
mkdir -p target/handlers target/guests
names=()
declare -A from
for manifest in handlers/*/Cargo.toml tests/guests/*/Cargo.toml; do
    [[ -e $manifest ]] || continue
    folder=$(dirname "$manifest")
    names+=("$(basename "$folder")")
    from[${names[-1]}]=$folder
done
((${#names[@]})) || die "no handlers in $root/handlers"

say "building ${names[*]}"
"${cargo[@]}" build --quiet --profile handler --target "$target" "${names[@]/#/--package=}"

for name in "${names[@]}"; do
    folder=${from[$name]}
    [[ $folder == tests/guests/* ]] && out=target/guests || out=target/handlers
    built="$build/$target/handler/${name//-/_}.wasm"
    [[ -e $built ]] || die "$folder has no cdylib"
    if cmp --quiet "$built" "$out/$name.wasm"; then
        state=unchanged
    else
        # A host that watches the folder must never see half a file.
        cp "$built" "$out/.$name.wasm.$$"
        mv "$out/.$name.wasm.$$" "$out/$name.wasm"
        state=new
    fi
    # What it needs of its host, where it says so.
    if [[ -e $folder/$name.toml ]]; then
        cmp --quiet "$folder/$name.toml" "$out/$name.toml" || {
            cp "$folder/$name.toml" "$out/.$name.toml.$$"
            mv "$out/.$name.toml.$$" "$out/$name.toml"
        }
    fi
    say "$out/$name.wasm: $(stat --format=%s "$out/$name.wasm") bytes, $state"
done
