#!/usr/bin/env bash
# Runs a private RabbitMQ on the loopback interface until standard input ends, and leaves nothing behind.
#
#     tests/broker.sh [--port PORT]
#
# Prints one line when it takes connections:
#
#     ready amqp_port=… management_port=… pid=… url=rabbit://guest:guest@127.0.0.1:…/
#
# and then obeys lines on standard input, each answered with one line:
#
#     stop      stops the node (`stopped`)
#     start     starts it on the same ports and data (`ready …`), also after someone killed its pid
#     restart   both (`ready …`)
#
# At the end of standard input, or on SIGINT or SIGTERM, node, port mapper and data go. So a test process that dies,
# however it dies, takes its broker with it: the pipe closes. Ports are free ones below the ephemeral range; --port
# fixes the AMQP port, for people. Several brokers may run at once; nothing of an installed service is touched.
set -euo pipefail

# The wrappers in /usr/sbin switch user, drop the environment and write to /var/lib/rabbitmq.
server=/usr/lib/rabbitmq/bin/rabbitmq-server
# A start takes 5 s on a quiet machine with two cores.
start_seconds=120
stop_seconds=20
# Clustering stays on the loopback interface; quorum queues, too, tell their counts often.
erlang_options='-kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 200'

node_pid='' epmd_pid='' amqp_port='' management_port='' dist_port='' epmd_port='' wanted_port='' home=''

fail() { echo "broker.sh: $*" >&2 && exit 1; }

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Chooses four neighbouring ports that nobody listens on, at random so that brokers started together differ.
choose_ports() {
    local base
    for _ in {1..100}; do
        base=$((12000 + 4 * (RANDOM % 5000)))
        if is_free $base && is_free $((base + 1)) && is_free $((base + 2)) && is_free $((base + 3)); then
            amqp_port=${wanted_port:-$base} management_port=$((base + 1))
            dist_port=$((base + 2)) epmd_port=$((base + 3))
            return
        fi
    done
    fail "found no free ports"
}

write_configuration() {
    # Statistics are as fresh as RabbitMQ can make them, for tests wait for them: at most a second old, not five.
    # Limits are absolute, or a small disk blocks every publisher.
    cat >"$home/rabbitmq.conf" <<-END
	listeners.tcp.1 = 127.0.0.1:$amqp_port
	management.tcp.ip = 127.0.0.1
	management.tcp.port = $management_port
	collect_statistics_interval = 200
	management.sample_retention_policies.global.minute = 1
	management.sample_retention_policies.basic.minute = 1
	management.sample_retention_policies.detailed.10 = 1
	vm_memory_high_watermark.absolute = 1GB
	disk_free_limit.absolute = 50MB
	log.console = true
	log.console.level = info
	log.file = false
	END
    echo '[rabbitmq_management].' >"$home/plugins"
    echo "cookie$RANDOM$RANDOM$RANDOM" >"$home/.erlang.cookie"
    chmod 400 "$home/.erlang.cookie"
}

# Runs a command in a session of its own, so that a terminal's Ctrl-C reaches only this script, which stops it in order;
# with a clean environment, so that the user's Erlang and RabbitMQ settings do not matter; without our pipes.
run_apart() {
    setsid env -i PATH="$PATH" HOME="$home" LANG=C.UTF-8 ERL_EPMD_PORT="$epmd_port" ERL_CRASH_DUMP_SECONDS=0 "$@" \
        </dev/null >>"$home/log" 2>&1 &
}

# Starts the port mapper. Without one the node forks its own, which outlives it and listens on every interface.
start_epmd() {
    run_apart epmd -address 127.0.0.1 -port "$epmd_port"
    epmd_pid=$!
    for _ in {1..100}; do
        if ! is_free "$epmd_port"; then return; fi
        sleep 0.05
    done
    fail "epmd does not answer on port $epmd_port: $(tail -n 5 "$home/log")"
}

# Starts the node and waits until it takes connections. False where it gives up, such as when a port is taken.
start_node() {
    : >"$home/log"
    # "Under systemd" makes the script become the node instead of its parent: our pid is the node's. An address in the
    # node's name asks no resolver; a small container knows not even localhost.
    run_apart RUNNING_UNDER_SYSTEMD=true \
        RABBITMQ_NODENAME="nova-host-$$@127.0.0.1" \
        RABBITMQ_USE_LONGNAME=true \
        RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_CONFIG_FILE="$home/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$home/plugins" \
        RABBITMQ_MNESIA_BASE="$home/data" \
        RABBITMQ_LOG_BASE="$home" \
        RABBITMQ_PID_FILE="$home/pid" \
        RABBITMQ_DIST_PORT="$dist_port" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="$erlang_options" \
        "$server"
    node_pid=$!
    for ((tenths = 0; tenths < start_seconds * 10; tenths++)); do
        if grep -q 'Server startup complete' "$home/log"; then return 0; fi
        if ! kill -0 "$node_pid" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
    return 1
}

say_ready() {
    echo "ready amqp_port=$amqp_port management_port=$management_port pid=$node_pid" \
        "url=rabbit://guest:guest@127.0.0.1:$amqp_port/"
}

# Ends one process that we started and waits for it, so that its ports and files are free.
end() {
    kill "-$1" "$2" 2>/dev/null || true
    wait "$2" 2>/dev/null || true
}

# Stops the node in order: clients are told, durable data is written. The management plugin of RabbitMQ 3.10 then hangs
# for 5 s on the way out; its last word before that ends our patience.
stop_node() {
    if [ -z "$node_pid" ]; then return; fi
    kill -TERM "$node_pid" 2>/dev/null || true
    for ((tenths = 0; tenths < stop_seconds * 10; tenths++)); do
        if ! kill -0 "$node_pid" 2>/dev/null || grep -q 'to stop collect_statistics' "$home/log"; then break; fi
        sleep 0.1
    done
    end KILL "$node_pid"
    node_pid=''
}

start_again() {
    # Someone who killed the node does not wait until it has let go of its ports.
    for ((tenths = 0; tenths < stop_seconds * 10; tenths++)); do
        if [ -z "$node_pid" ] || ! kill -0 "$node_pid" 2>/dev/null; then break; fi
        sleep 0.1
    done
    start_node || fail "the node does not start again: $(tail -n 20 "$home/log")"
    say_ready
}

# Nobody needs the data any more, so nothing is stopped in order.
clean_up() {
    trap '' HUP INT PIPE TERM
    if [ -n "$node_pid" ]; then end KILL "$node_pid"; fi
    if [ -n "$epmd_pid" ]; then end TERM "$epmd_pid"; fi
    if [ -n "$home" ]; then rm -rf "$home"; fi
}

if [ "${1:-}" = --port ] && [[ "${2:-}" =~ ^[0-9]+$ ]]; then wanted_port=$2; shift 2; fi
[ $# = 0 ] || fail "usage: tests/broker.sh [--port PORT]"
[ -x "$server" ] || fail "RabbitMQ is not installed; run tests/setup.sh"
if [ -n "$wanted_port" ] && ! is_free "$wanted_port"; then fail "port $wanted_port is in use"; fi

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

home=$(mktemp -d)
for attempt in 1 2 3; do
    choose_ports
    write_configuration
    start_epmd
    if start_node; then break; fi
    # Most likely another broker chose the same ports at the same moment.
    if [ "$attempt" = 3 ]; then fail "the node does not start: $(tail -n 20 "$home/log")"; fi
    stop_node
    end TERM "$epmd_pid"
    rm -rf "${home:?}"/* "$home/.erlang.cookie"
done
say_ready
if [ -t 0 ]; then echo "broker.sh: Ctrl-D stops it" >&2; fi

while read -r command; do
    case $command in
        stop) stop_node && echo stopped ;;
        start) start_again ;;
        restart) stop_node && start_again ;;
        *) fail "unknown command: $command" ;;
    esac
done
