#!/usr/bin/env bash
# Train one stage of a run on this machine, as launch.backend=local does.
#
#     launch/scripts/local.sh RUN/stages/0064/spec.json [RANKS]
#
# RANKS is by default the number of GPUs, or 2 without any. The stage resumes from its newest
# checkpoint; it is done when RUN/stages/0064/final exists. On Ctrl-C or `touch RUN/STOP` (remove it
# afterwards) the ranks write a checkpoint and end. progan's environment must be on the PATH.
set -euo pipefail

if [ $# -lt 1 ] || [ ! -f "$1" ]; then
    echo "usage: $0 RUN/stages/RESOLUTION/spec.json [RANKS]" >&2
    exit 2
fi
spec=$(realpath "$1")
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l) || gpus=0
ranks=${2:-$((gpus > 0 ? gpus : 2))}

# `import datasets` finds Hugging Face's, not a folder of that name here.
export PYTHONSAFEPATH=${PYTHONSAFEPATH:-1}

# The ranks share the CPU threads equally.
threads=$(($(nproc) / ranks))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 0 ? threads : 1))}

# glibc keeps the memory of freed tensors for the next step: a CPU step then takes 0.7 of the time.
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-4294967296}
export MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-8589934592}
export MALLOC_TOP_PAD_=${MALLOC_TOP_PAD_:-268435456}

# torchrun gives every rank its RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
# --local-addr: this machine's own name may not resolve. --no-python: progan-worker is a command.
exec torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node="$ranks" --no-python \
    "$(command -v progan-worker)" --spec "$spec"
