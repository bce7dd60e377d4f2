#!/usr/bin/env bash
# Runs a private RabbitMQ on the loopback interface until standard input ends, and leaves nothing behind.
#
#     tests/broker.sh [--port PORT] [--nodes NUMBER] [--tls DIRECTORY] [--configuration FILE]
#
# Prints one line when it takes connections, with one value for each node of the cluster (one node is the default):
#
#     ready amqp_port=…,… management_port=…,… pid=…,… release=… url=rabbit://guest:guest@127.0.0.1:…,…/
#
# and then obeys lines on standard input, each answered with one line:
#
#     stop [N]      stops node N, from 1 (`stopped`)
#     start [N]     starts it on the same ports and data (`ready …`), also after someone killed its pid
#     restart [N]   both (`ready …`)
#     sync          waits until the nodes' parts of quorum queues are in step, and writes to disk which there are (`done`)
#     logs DIR      copies the nodes' logs to a directory (`done`)
#     ctl …         runs rabbitmqctl for the first node (`done`)
#
# With --tls the AMQP port speaks only TLS, on 127.0.0.1 and 127.0.0.2, with ca.pem, cert.pem and key.pem of a directory,
# and certificates of clients may log in; --configuration adds lines to every node's configuration. Where there is an
# IPv6 loopback, the same port is there without TLS too.
#
# TEST_RABBITMQ chooses the RabbitMQ: 3.10 (the default, Debian 12's), 4.0 or 4.3, which `make brokers` and
# tests/rabbitmq.sh install. All of the above is the same with each.
#
# At the end of standard input, or on SIGINT or SIGTERM, nodes, port mapper and data go. So a test process that dies,
# however it dies, takes its broker with it: the pipe closes. Ports are free ones below the ephemeral range; --port
# fixes the first node's AMQP port, for people. Several brokers may run at once; nothing of an installed service is
# touched.
set -euo pipefail

# The wrappers in /usr/sbin switch user, drop the environment and write to /var/lib/rabbitmq.
server=/usr/lib/rabbitmq/bin/rabbitmq-server
control=/usr/lib/rabbitmq/bin/rabbitmqctl
# Which RabbitMQ, and what shows the programs its Debian.
version=${TEST_RABBITMQ:-3.10}
rabbitmq=$(dirname "${BASH_SOURCE[0]}")/rabbitmq.sh
# A start takes 5 s on a quiet machine with two cores, that of three nodes 20 s.
start_seconds=240
stop_seconds=20
max_nodes=5
# Clustering stays on the loopback interface; quorum queues, too, tell their counts often.
erlang_options='-kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 200'

# By the number of the node, from 1.
node_pids=() amqp_ports=() management_ports=() dist_ports=()
nodes=1 epmd_pid='' epmd_port='' wanted_port='' home='' tls='' configuration=''

fail() { echo "broker.sh: $*" >&2 && exit 1; }

# Joins all arguments but the first with it.
join() { local IFS=$1 && shift && echo "$*"; }

numbers() { seq 1 "$nodes"; }

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Chooses neighbouring ports that nobody listens on, at random so that brokers started together differ: one for the port
# mapper and three for each node.
choose_ports() {
    local base taken port number
    for _ in {1..100}; do
        base=$((12000 + 16 * (RANDOM % 1250))) taken=''
        for ((port = base; port <= base + 3 * nodes; port++)); do
            if ! is_free "$port"; then taken=yes; fi
        done
        if [ -n "$taken" ]; then continue; fi
        epmd_port=$base
        for number in $(numbers); do
            port=$((base + 3 * number - 2))
            amqp_ports[number]=$port management_ports[number]=$((port + 1)) dist_ports[number]=$((port + 2))
        done
        amqp_ports[1]=${wanted_port:-${amqp_ports[1]}}
        return
    done
    fail "found no free ports"
}

# An address in a node's name asks no resolver; a small container knows not even localhost.
name() { echo "nova-host-$$-$1@127.0.0.1"; }

write_configuration() {
    local number
    for number in $(numbers); do write_node_configuration "$number" >"$home/$number.conf"; done
    echo "[rabbitmq_management${tls:+, rabbitmq_auth_mechanism_ssl}]." >"$home/plugins"
    echo "cookie$RANDOM$RANDOM$RANDOM" >"$home/.erlang.cookie"
    chmod 400 "$home/.erlang.cookie"
}

write_node_configuration() {
    # Statistics are as fresh as RabbitMQ can make them, for tests wait for them: at most a second old, not five.
    # Limits are absolute, or a small disk blocks every publisher.
    if [ -n "$tls" ]; then
        cat <<-END
	listeners.tcp = none
	listeners.ssl.1 = 127.0.0.1:${amqp_ports[$1]}
	listeners.ssl.2 = 127.0.0.2:${amqp_ports[$1]}
	ssl_options.cacertfile = $tls/ca.pem
	ssl_options.certfile = $tls/cert.pem
	ssl_options.keyfile = $tls/key.pem
	ssl_options.verify = verify_peer
	ssl_cert_login_from = common_name
	auth_mechanisms.1 = PLAIN
	auth_mechanisms.2 = AMQPLAIN
	auth_mechanisms.3 = EXTERNAL
	END
        # Newer ones want a certificate where they verify one.
        if ! grep -qs fail_if_no_peer_cert "$configuration"; then echo 'ssl_options.fail_if_no_peer_cert = false'; fi
    else
        echo "listeners.tcp.1 = 127.0.0.1:${amqp_ports[$1]}"
        if grep -qs '^0\{31\}1 ' /proc/net/if_inet6; then echo "listeners.tcp.2 = ::1:${amqp_ports[$1]}"; fi
    fi
    if [ -n "$configuration" ]; then cat "$configuration"; fi
    cat <<-END
	management.tcp.ip = 127.0.0.1
	management.tcp.port = ${management_ports[$1]}
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
    if [ "$nodes" = 1 ]; then return; fi
    # A node that is dead or frozen is noticed in ten seconds, and who is left with the minority stops.
    cat <<-END
	cluster_formation.peer_discovery_backend = classic_config
	cluster_partition_handling = pause_minority
	net_ticktime = 10
	END
    for number in $(numbers); do
        echo "cluster_formation.classic_config.nodes.$number = $(name "$number")"
    done
}

# Runs a command in a session of its own, so that a terminal's Ctrl-C reaches only this script, which stops it in order;
# with a clean environment, so that the user's Erlang and RabbitMQ settings do not matter; without our pipes.
run_apart() {
    local log=$1 && shift
    setsid env -i PATH="$PATH" HOME="$home" LANG=C.UTF-8 ERL_EPMD_PORT="$epmd_port" ERL_CRASH_DUMP_SECONDS=0 "$@" \
        </dev/null >>"$log" 2>&1 &
}

# Starts the port mapper. Without one the node forks its own, which outlives it and listens on every interface.
start_epmd() {
    run_apart "$home/epmd.log" epmd -address 127.0.0.1 -port "$epmd_port"
    epmd_pid=$!
    for _ in {1..100}; do
        if ! is_free "$epmd_port"; then return; fi
        sleep 0.05
    done
    fail "epmd does not answer on port $epmd_port: $(tail -n 5 "$home/epmd.log")"
}

log_of() { echo "$home/$1.log"; }

# Starts a node.
spawn_node() {
    # What is waited for must be of this start.
    if [ -e "$(log_of "$1")" ]; then cat "$(log_of "$1")" >>"$home/$1.before.log"; fi
    : >"$(log_of "$1")"
    # "Under systemd" makes the script become the node instead of its parent: our pid is the node's.
    run_apart "$(log_of "$1")" RUNNING_UNDER_SYSTEMD=true \
        RABBITMQ_NODENAME="$(name "$1")" \
        RABBITMQ_USE_LONGNAME=true \
        RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_CONFIG_FILE="$home/$1.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$home/plugins" \
        RABBITMQ_MNESIA_BASE="$home/data" \
        RABBITMQ_LOG_BASE="$home" \
        RABBITMQ_PID_FILE="$home/$1.pid" \
        RABBITMQ_DIST_PORT="${dist_ports[$1]}" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="$erlang_options" \
        "$rabbitmq" run "$version" "$server"
    node_pids[$1]=$!
}

# Waits until a node takes connections. False where it gives up, such as when a port is taken.
wait_for_node() {
    for ((tenths = 0; tenths < start_seconds * 10; tenths++)); do
        if grep -q 'Server startup complete' "$(log_of "$1")"; then return 0; fi
        if ! kill -0 "${node_pids[$1]}" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
    return 1
}

# Starts all nodes together, for those of a cluster wait for each other.
start_nodes() {
    local number
    for number in $(numbers); do spawn_node "$number"; done
    for number in $(numbers); do wait_for_node "$number" || return 1; done
}

say_ready() {
    local addresses=("${amqp_ports[@]/#/guest:guest@127.0.0.1:}")
    echo "ready amqp_port=$(join , "${amqp_ports[@]}") management_port=$(join , "${management_ports[@]}")" \
        "pid=$(join , "${node_pids[@]}") release=$release url=rabbit://$(join , "${addresses[@]}")/"
}

# Ends one process that we started and waits for it, so that its ports and files are free.
end() {
    kill "-$1" "$2" 2>/dev/null || true
    wait "$2" 2>/dev/null || true
}

# Whether a node runs. One that was stopped has the pid 0, which would mean all of ours.
runs() { [ "${node_pids[$1]:-0}" != 0 ] && kill -0 "${node_pids[$1]}" 2>/dev/null; }

# Stops a node in order: clients are told, all data is written. The management plugin of RabbitMQ 3.10 hangs for 5 s on
# the way out, and much is written only after that.
stop_node() {
    if ! runs "$1"; then return; fi
    kill -TERM "${node_pids[$1]}" 2>/dev/null || true
    for ((tenths = 0; tenths < stop_seconds * 10; tenths++)); do
        if ! runs "$1"; then break; fi
        sleep 0.1
    done
    end KILL "${node_pids[$1]}"
    node_pids[$1]=0
}

start_again() {
    # Someone who killed the node does not wait until it has let go of its ports.
    for ((tenths = 0; tenths < stop_seconds * 10; tenths++)); do
        if ! runs "$1"; then break; fi
        sleep 0.1
    done
    spawn_node "$1"
    wait_for_node "$1" || fail "node $1 does not start again: $(tail -n 20 "$(log_of "$1")")"
    say_ready
}

# Runs rabbitmqctl for a node.
ctl() {
    env -i PATH="$PATH" HOME="$home" LANG=C.UTF-8 ERL_EPMD_PORT="$epmd_port" RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_NODENAME="$(name "$1")" RABBITMQ_USE_LONGNAME=true \
        "$rabbitmq" run "$version" "$control" "${@:2}" </dev/null >>"$home/ctl.log" 2>&1 ||
        fail "rabbitmqctl ${*:2}: $(tail -n 5 "$home/ctl.log")"
}

# A node that takes part in a quorum queue remembers so in a table that it saves after three quiet minutes, or when it
# stops in order. Who is killed before that starts with an empty member, and the queue may never again have a leader
# ("leader call - leader not known" in the log; https://github.com/rabbitmq/rabbitmq-server/issues/15725).
#
# Before that, waits until no member is far behind: one that is, and is left with one other, was seen to stay there while
# its queue answered nobody.
sync_nodes() {
    local number
    ctl 1 eval 'Step = fun Step(0) -> exit(members_are_behind); Step(Left) ->
        Near = fun(Queue) -> {resource, VHost, queue, Name} = amqqueue:get_name(Queue),
            Members = case rabbit_quorum_queue:status(VHost, Name) of Known when is_list(Known) -> Known; _ -> [[]] end,
            At = [proplists:get_value(<<"Last Log Index">>, Member, proplists:get_value(<<"Log Index">>, Member))
                || Member <- Members],
            lists:all(fun erlang:is_integer/1, At) andalso lists:max(At) - lists:min(At) < 1000 end,
        case lists:all(Near, rabbit_amqqueue:list_by_type(rabbit_quorum_queue)) of
            true -> ok; false -> timer:sleep(100), Step(Left - 1) end end, Step(600).'
    for number in $(numbers); do
        if runs "$number"; then ctl "$number" eval '[ok = dets:sync(Table) || Table <- dets:all()].'; fi
    done
}

# Ends all nodes at once.
kill_nodes() {
    local number
    for number in $(numbers); do
        if runs "$number"; then end KILL "${node_pids[$number]}"; fi
        node_pids[number]=0
    done
}

# Nobody needs the data any more, so nothing is stopped in order.
clean_up() {
    trap '' HUP INT PIPE TERM
    kill_nodes
    if [ -n "$epmd_pid" ]; then end TERM "$epmd_pid"; fi
    if [ -n "$home" ]; then rm -rf "$home"; fi
}

usage() {
    fail "usage: tests/broker.sh [--port PORT] [--nodes NUMBER] [--tls DIRECTORY] [--configuration FILE]," \
        "with at most $max_nodes nodes"
}

while [ $# -gt 0 ]; do
    [ -n "${2:-}" ] || usage
    case $1 in
        --port) wanted_port=$2 ;;
        --nodes) nodes=$2 ;;
        --tls) tls=$2 ;;
        --configuration) configuration=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[[ $nodes$wanted_port =~ ^[0-9]+$ ]] || usage
[ "$nodes" -ge 1 ] && [ "$nodes" -le $max_nodes ] || usage
release=$("$rabbitmq" release "$version")
[ -n "$release" ] || fail "RabbitMQ $version is not installed; run tests/setup.sh or, for the newer ones, tests/setup.sh --brokers"
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
    if start_nodes; then break; fi
    # Most likely another broker chose the same ports at the same moment.
    if [ "$attempt" = 3 ]; then fail "the node does not start: $(tail -n 20 "$home"/?.log)"; fi
    kill_nodes
    end TERM "$epmd_pid"
    rm -rf "${home:?}"/* "$home/.erlang.cookie"
done
say_ready
if [ -t 0 ]; then echo "broker.sh: Ctrl-D stops it" >&2; fi

while read -r command number; do
    case $command in
        ctl)
            # shellcheck disable=SC2086 # the words of one line
            ctl 1 $number && echo 'done'
            continue
            ;;
        logs)
            mkdir -p "$number" && cp "$home"/*.log "$number" && echo 'done'
            continue
            ;;
    esac
    number=${number:-1}
    [[ $number =~ ^[0-9]+$ ]] && [ "$number" -ge 1 ] && [ "$number" -le "$nodes" ] || fail "no node $number"
    case $command in
        stop) stop_node "$number" && echo stopped ;;
        start) start_again "$number" ;;
        sync) sync_nodes && echo 'done' ;;
        restart) stop_node "$number" && start_again "$number" ;;
        *) fail "unknown command: $command" ;;
    esac
done
