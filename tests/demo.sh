#!/usr/bin/env bash
# The main job in ten seconds of reading: what callers get from handlers that work, fail, panic and loop.
# Run by `make demo`, which builds first. No broker: the service runs inside the command, on memory://.
set -euo pipefail
cd "$(dirname "$0")/.."

host=target/release/nova-host
local=(--transport-url memory:// --handlers target/handlers)

show() { # title, exit code that it must have, arguments of nova-host
    local title=$1 expected=$2 code=0 word
    shift 2
    printf '\n# %s\n$ nova-host' "$title"
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_.=/:-]*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$host" "$@" "${local[@]}" || code=$?
    if [ "$code" -ne "$expected" ]; then
        printf 'demo: exit code %s instead of %s\n' "$code" "$expected" >&2
        exit 1
    fi
}

printf 'Each line runs with: %s\n' "${local[*]}"
show 'what is served' 0 check
show 'a call and its reply' 0 call add '{"a":1,"b":2}'
show 'a cast: nobody waits, the handler writes to the log' 0 cast log '{"level":"warn","message":"done"}'
show "the handler's own exception, which a nova client raises again" 1 call not_found '{"instance_id":"7"}'
show 'an unknown method' 1 call nope
show 'an unsupported version' 1 call --version 9.0 add '{"a":1,"b":2}'
show 'wrong arguments' 1 call add '{"a":1}'
show 'a guest that panics' 1 call panic '{"message":"boom"}'
show 'a guest that loops' 1 call --set limits.timeout=500ms loop_forever
show 'a guest that wants all the memory' 1 call allocate '{"mib":1000}'

cat <<'END'

# Next: the same over RabbitMQ. In one terminal, a private broker (tests/setup.sh installs RabbitMQ):
$ tests/broker.sh --port 25672
# in a second one:
$ target/release/nova-host serve --handlers target/handlers --transport-url rabbit://guest:guest@127.0.0.1:25672/
# and in a third:
$ target/release/nova-host call add '{"a":1,"b":2}' --transport-url rabbit://guest:guest@127.0.0.1:25672/
# or from Python: oslo.messaging, exchange nova, topic conductor. Your own handler: README.md.
END
