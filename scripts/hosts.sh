# shellcheck shell=bash disable=SC2034
# Sourced by scripts/two-hosts and scripts/slurm-cluster: two hosts on one machine. A host is a
# network namespace with a name, a /dev/shm and a $scratch/tmp of its own; serry-one and serry-two
# are joined by a pair of interfaces, each named $interface. All of it lives in a process namespace
# that ends with the script, whatever ends that: nothing is left, no process, no interface, no file.
hosts=(serry-one serry-two)
interface=serry0

skip() {
    echo "$program: SKIPPED: $1" >&2
    exit 77
}

# What a script that was killed (SIGKILL) could not remove: nobody holds its lock.
remove_stale() {
    local dir
    find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'serry-hosts-??????' -user "$(id -u)" -mmin +1 2>/dev/null |
        while read -r dir; do
            [ ! -f "$dir/lock" ] || ! flock --nonblock "$dir/lock" true || rm -rf "$dir"
        done
}

# in_namespaces SCRIPT ARGUMENT...: runs the script again inside, as the first process there.
in_namespaces() {
    local tool command inner status=0
    for tool in unshare nsenter ip hostname setpriv flock; do
        command -v $tool >/dev/null || skip "there is no '$tool' (packages: util-linux iproute2 hostname)"
    done
    command=(unshare --mount --pid --fork --kill-child=KILL --mount-proc)
    [ "$(id -u)" = 0 ] || command+=(--user --map-root-user)
    "${command[@]}" unshare --net --uts --ipc true 2>/dev/null ||
        skip "this machine does not permit namespaces (try it as root)"
    remove_stale
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/serry-hosts-XXXXXX") || exit 1
    exec {lock}>"$scratch/lock" && flock $lock || exit 1
    # Whatever ends this shell ends the first process inside, and that one all others there.
    trap 'kill -KILL $inner 2>/dev/null; wait $inner 2>/dev/null; rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    SERRY_HOSTS_SCRATCH=$scratch setpriv --pdeathsig KILL "${command[@]}" "$@" <&0 {lock}>&- &
    inner=$!
    wait $inner || status=$?
    exit $status
}

# Inside: makes the hosts, and $scratch/agent, which stands in for ssh: agent HOST COMMAND...
make_hosts() {
    local i made until
    scratch=$SERRY_HOSTS_SCRATCH
    trap 'exit 130' INT TERM HUP
    host_pid=()
    mkdir -p "$scratch/tmp"
    printf '127.0.0.1 localhost\n10.77.0.1 serry-one\n10.77.0.2 serry-two\n' >"$scratch/hosts"
    mount --bind "$scratch/hosts" /etc/hosts || skip "files cannot be mounted here"
    for i in 0 1; do
        mkfifo "$scratch/ready$i"
        unshare --net --uts --ipc --mount sh -c "
            mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /dev/shm &&
                mount -t tmpfs tmpfs '$scratch/tmp' && hostname ${hosts[i]} && made=yes
            echo \${made:-no} >'$scratch/ready$i'
            exec sleep infinity" &
        host_pid[i]=$!
        read -r -t 60 made <>"$scratch/ready$i"
        [ "$made" = yes ] || skip "a host cannot be made here"
    done
    on_host 0 ip link add $interface type veth \
        peer name $interface netns "${host_pid[1]}" || skip "interfaces cannot be made here"
    for i in 0 1; do
        on_host $i ip address add 10.77.0.$((i + 1))/24 dev $interface
        on_host $i ip link set $interface up
        on_host $i ip link set lo up
    done
    # The kernel takes its time to say that the other end is there, and UCX believes it.
    until=$((SECONDS + 60))
    for i in 0 1; do
        until [ "$(on_host $i cat /sys/class/net/$interface/operstate)" = up ]; do
            if [ $SECONDS -ge $until ]; then
                echo "$program: the interface of ${hosts[i]} does not come up" >&2
                exit 1
            fi
            sleep 0.02
        done
    done
    # Where Open MPI keeps what it leaves behind when it is killed.
    export OMPI_MCA_orte_tmpdir_base=$scratch/tmp
    cat >"$scratch/agent" <<EOF
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
case \$1 in
serry-one) pid=${host_pid[0]} ;;
serry-two) pid=${host_pid[1]} ;;
*) echo "no host is named '\$1'" >&2; exit 255 ;;
esac
shift
exec nsenter --target \$pid --net --uts --ipc --mount --wd=. sh -c "\$*"
EOF
    chmod +x "$scratch/agent"
}

# on_host NUMBER COMMAND...
on_host() {
    local i=$1
    shift
    nsenter --target "${host_pid[i]}" --net --uts --ipc --mount --wd=. "$@"
}
