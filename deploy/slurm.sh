#!/usr/bin/env bash
# Starts a Ray cluster inside one Slurm job and runs a sweep on it. Submit it from the project's folder, on a file system
# that all nodes share, with the project's environment active:
#
#   sbatch deploy/slurm.sh search_spaces/ablation_memory.yaml --recipe cityscapes_hrnet_w48 --run-dir /shared/runs
#
# After the time limit, submit it again: finished trials are kept, interrupted ones resume from their checkpoints.

#SBATCH --job-name=contrast-sweep
#SBATCH --nodes=3                  # the first is the head; it runs trials too
#SBATCH --ntasks-per-node=1        # one Ray process per node
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300        # five minutes before the limit: trials stop at their next report, tables are written
#SBATCH --output=slurm-%j.out

set -euo pipefail

# A node needs the token to join. `srun` passes this script's environment to each node, so the token is in no file and on
# no command line. On a node Ray 2.60 uses it only if RAY_AUTH_MODE is set.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
port=$((20000 + SLURM_JOB_ID % 10000))   # two jobs may share a node
head_ip=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address)
head_ip=${head_ip%% *}                   # the first address, if there are several
address="$head_ip:$port"
size=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --disable-usage-stats --block)

export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"   # without it a step has one core, from Slurm 22.05 on

steps=()                                 # ended below by their process ids, so that no other Ray is touched
end_steps() {
    ((${#steps[@]})) && kill "${steps[@]}" 2>/dev/null
    wait
}
trap end_steps EXIT

srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" \
    ray start --head --node-ip-address="$head_ip" --port="$port" --include-dashboard=false \
    --temp-dir="/tmp/ray_$SLURM_JOB_ID" "${size[@]}" &
steps+=($!)

tries=60
until ray status --address="$address" >/dev/null 2>&1; do
    kill -0 "${steps[0]}" 2>/dev/null && ((tries--)) || { echo "the head did not start on ${nodes[0]}" >&2; exit 1; }
    sleep 2
done

for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 --nodelist="$node" ray start --address="$address" "${size[@]}" &
    steps+=($!)
done

# The driver runs here, on the head's machine. It starts with the nodes that have joined and uses the others when they join.
python -m orchestrator.sweep "$@" --address "$address" &
driver=$!
trap 'kill -TERM "$driver"' TERM         # passed on to the driver; a second one ends it at once
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2>/dev/null; do  # the signal interrupted the first wait
    code=0
    wait "$driver" || code=$?
done
exit "$code"
