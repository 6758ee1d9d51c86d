#!/usr/bin/env bash
# Train one stage of a run on the hosts of a hostfile, as launch.backend=ssh does.
#
#     launch/scripts/hostfile.sh HOSTFILE RUN/stages/0064/spec.json [NAME=VALUE]...
#
# HOSTFILE has lines `HOST slots=N`; NAME=VALUE are variables for the ranks, such as
# NCCL_SOCKET_IFNAME=ib0, which other users see in the list of processes. Required: ssh to every host
# without a password; RUN, data set and progan's environment at the same path on all hosts.
# MASTER_ADDR is by default the first host (127.0.0.1 if it is the only one), MASTER_PORT 29500. Unlike progan, this script does not
# end the other ranks when a host is lost; they end by themselves after
# engine.collective_timeout_minutes.
set -euo pipefail

if [ $# -lt 2 ] || [ ! -f "$1" ] || [ ! -f "$2" ]; then
    echo "usage: $0 HOSTFILE RUN/stages/RESOLUTION/spec.json [NAME=VALUE]..." >&2
    exit 2
fi
hostfile=$(realpath "$1") spec=$(realpath "$2") bin=$(dirname "$(command -v progan-worker)")
shift 2
stage=$(dirname "$spec")
stop=$(dirname "$(dirname "$stage")")/STOP
mapfile -t hosts < <(sed 's/#.*//' "$hostfile" | awk 'NF {print $1}')
mapfile -t slots < <(sed 's/#.*//' "$hostfile" | sed -n 's/.*slots=\([0-9]*\).*/\1/p')

first=127.0.0.1
((${#hosts[@]} == 1)) || first=${hosts[0]##*@}

# All ranks see the file, write a checkpoint and end.
rm -f "$stop"
trap 'touch "$stop"' INT TERM

for node in "${!hosts[@]}"; do
    # The variables of local.sh; $(nproc) is evaluated on the host.
    words=(PYTHONSAFEPATH=1 "OMP_NUM_THREADS=\$((\$(nproc) < ${slots[node]} ? 1 : \$(nproc) / ${slots[node]}))"
        MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592
        MALLOC_TOP_PAD_=268435456)
    for word in "$@" "$bin/torchrun" --nnodes "${#hosts[@]}" --node-rank "$node" \
        --nproc-per-node "${slots[node]}" --master-addr "${MASTER_ADDR:-$first}" \
        --master-port "${MASTER_PORT:-29500}" --no-python "$bin/progan-worker" --spec "$spec"; do
        words+=("$(printf %q "$word")")  # the shell over there reads them once more
    done
    setsid ssh -o BatchMode=yes -o ServerAliveInterval=10 -o ServerAliveCountMax=3 \
        -- "${hosts[node]}" env "${words[@]}" </dev/null &
done

# Launchers' exit codes are not reliable: the stage is done when its result exists.
while [ -n "$(jobs -rp)" ]; do wait || true; done
[ -e "$stage/final/manifest.json" ]
