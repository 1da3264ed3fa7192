#!/usr/bin/env bash
# `nvlm train` on all GPUs of this machine, or as one machine of several. Arguments are those of `nvlm train`:
#
#   launch/run.sh paper_34b --arch h --layout "FSDP 8" …
#
# PROCESSES  processes on this machine (default: as many as it has GPUs)
# MACHINES   how many machines take part (default: 1); with several, HEAD is host:port of the first
#
# torchrun ends with code 1 when it is told to stop. Here the signal goes past it to the workers: they finish the step,
# save and end, torchrun ends with them, and SIGTERM gives exit code 0, Ctrl-C gives 130. If it gives 0, look in the log
# whether the run is complete; the same command with --resume goes on if it is not.
set -u

meet=(--standalone)
if [ "${MACHINES:-1}" -gt 1 ]; then
    meet=(--nnodes "$MACHINES" --rdzv-backend c10d --rdzv-endpoint "${HEAD:?is host:port of the first machine}")
fi

# In a session of its own: Ctrl-C on the terminal then reaches this script only.
setsid "${PYTHON:-python}" -m torch.distributed.run "${meet[@]}" --nproc-per-node "${PROCESSES:-gpu}" \
    -m nvlm train "$@" &
agent=$!

asked=
forward() {
    asked=$1
    for task in /proc/"$agent"/task/*/children; do
        # shellcheck disable=SC2046  # a list of numbers
        kill -"$1" $(cat "$task") 2>/dev/null
    done
}
trap 'forward TERM' TERM
trap 'forward INT' INT

# wait returns at every signal, before the agent ends
code=0
while kill -0 "$agent" 2>/dev/null; do
    wait "$agent"
    code=$?
done
[ "$asked" = INT ] && code=130
exit "$code"
