#!/bin/sh
# science_heat.sh PROGRAM: heat_openmpi or heat_mpich says itself whether it agrees with the exact
# solution. Here: it does under its launcher, with ranks on one node and on many, what it writes is
# the same each time, and if it is started directly, and not more ranks write at a time than it was told.
set -u
program=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Open MPI's wants to be asked for more ranks than processors, and to be run by root.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
case $program in
*_openmpi) launch="mpirun.openmpi --oversubscribe" ;;
*) launch="mpirun.mpich" ;;
esac
# Where only one MPI is installed its launcher may have no second name.
command -v "${launch%% *}" >/dev/null || launch=$(echo "$launch" | sed 's/[.][a-z]*//')

# heat RANKS WRITERS FILE: the output is in $dir/said.
heat() {
    # shellcheck disable=SC2086 # words of a command
    timeout 100 $launch -n "$1" "$program" -n 31 -k "$2" -o "$dir/$3" >"$dir/said" 2>"$dir/errors" || {
        echo "$launch -n $1, nodes ${SERRY_NODES:-as they are}: exit status $?"
        cat "$dir/said" "$dir/errors"
        exit 1
    }
    [ "$(grep -c '^cold after 180 steps' "$dir/said")" = 1 ] &&
        [ "$(grep -c '^diffusivity' "$dir/said")" = 12 ] || {
        echo "$launch -n $1: it did not say what it should:"
        cat "$dir/said"
        exit 1
    }
}

timeout 100 "$program" -n 31 -k 1 -o "$dir/direct" >"$dir/said" 2>"$dir/errors" || {
    echo "started directly: exit status $?"
    cat "$dir/said" "$dir/errors"
    exit 1
}
heat 1 1 alone
[ "$(wc -c <"$dir/alone")" = $((31 * 31 * 8)) ] || { echo "the file has the wrong size"; exit 1; }
heat 4 1 together
grep -q 'at most 1 of 4 ranks' "$dir/said" || { cat "$dir/said"; exit 1; }
SERRY_NODES=rank
export SERRY_NODES
heat 4 2 apart
cmp "$dir/alone" "$dir/direct" && cmp "$dir/alone" "$dir/together" && cmp "$dir/alone" "$dir/apart"
