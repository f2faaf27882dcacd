#!/usr/bin/env bash
# Starts a Ray cluster inside one Slurm job and runs a sweep on it. Submit it from the project's folder, on a file system
# that all nodes share:
#
#   sbatch deploy/slurm.sh search_spaces/ablation_memory.yaml --recipe cityscapes_hrnet_w48 --run-dir /shared/runs
#
# Before the time limit the sweep stops, and the job requeues itself: finished trials are kept, interrupted ones resume from
# their checkpoints. `scancel JOB` ends it for good. The job's log is slurm-JOB.out; those of the nodes, which Ray fills, are
# in slurm-JOB.nodes/ and are removed when the sweep is finished.

#SBATCH --job-name=contrast-sweep
#SBATCH --nodes=3                  # the first is the head; it runs trials too
#SBATCH --ntasks-per-node=1        # one Ray process per node
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300        # five minutes before the limit: time to stop trials at their next report and write tables
#SBATCH --requeue
#SBATCH --open-mode=append         # a requeued job continues its log
#SBATCH --output=slurm-%j.out

# Your site: remove one # of the lines that it needs.
##SBATCH --partition=PARTITION
##SBATCH --account=ACCOUNT
##SBATCH --qos=QOS
# module load python/3.12
# source .venv/bin/activate         # or: source ~/miniconda3/etc/profile.d/conda.sh && conda activate ENVIRONMENT
node_folder=${NODE_FOLDER:-/tmp}     # on a local disk of each node; a short path, as the sockets of Ray are in it
join_seconds=${JOIN_SECONDS:-300}   # how long the nodes may take to join
most_requeues=${MOST_REQUEUES:-30}

set -euo pipefail

# A node needs the token to join. `srun` passes this script's environment to each node, so the token is in no file and on
# no command line. On a node Ray 2.60 uses it only if RAY_AUTH_MODE is set.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head_ip=$(hostname --ip-address) # this script runs on the first node
[[ $head_ip != 127.* ]] || head_ip=$(hostname --all-ip-addresses)
export HEAD_IP=${head_ip%% *}    # the first address, if there are several
export HEAD_PORT=$((20000 + SLURM_JOB_ID % 5000)) NODE_FOLDER=$node_folder JOIN_SECONDS=$join_seconds # jobs may share a node
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}" # without it a step has one core, from Slurm 22.05 on

# What each node runs, until the step gets SIGTERM. Ray's folders are writable for all, so they are in a private one.
# shellcheck disable=SC2317 # `srun` calls it
start_node() {
    set -u
    exec >"$LOGS/$SLURMD_NODENAME.log" 2>&1
    folder=$(mktemp --directory "$NODE_FOLDER/cs.XXXXXX")
    trap 'rm -rf -- "$folder"' EXIT
    options=(--block --disable-usage-stats --temp-dir="$folder/r" --labels="slurm-node=$SLURMD_NODENAME"
        --num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}"
        --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0)
    if ((SLURM_NODEID == 0)); then
        options+=(--head --node-ip-address="$HEAD_IP" --port="$HEAD_PORT" --include-dashboard=false)
        # With ray[client] installed, each head has a server for Ray Client, by default on one port for all.
        ! python -c 'import grpc' 2>/dev/null || options+=(--ray-client-server-port=$((HEAD_PORT + 5000)))
    else
        options+=(--address="$HEAD_IP:$HEAD_PORT")
        until timeout 5 bash -c ": >/dev/tcp/$HEAD_IP/$HEAD_PORT" 2>/dev/null || ((SECONDS > JOIN_SECONDS)); do sleep 0.5; done
    fi
    export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # by the time of SIGTERM nothing runs on the node
    ray start "${options[@]}" &
    ray=$!
    stopping=
    trap 'stopping=1; kill -TERM "$ray"' TERM
    wait "$ray" || code=$?
    while kill -0 "$ray" 2>/dev/null; do wait "$ray" || code=$?; done
    [[ $stopping ]] || { touch "$LOGS/$SLURMD_NODENAME.ended"; exit "${code:-0}"; }
}

# Prints the number of nodes that have joined Ray, and the names of those that are missing when the time is over or Ray has
# ended on one.
count_nodes='
import os, pathlib, socket, sys, time, ray
host, port, logs = os.environ["HEAD_IP"], os.environ["HEAD_PORT"], pathlib.Path(os.environ["LOGS"])
ends = time.monotonic() + float(os.environ["JOIN_SECONDS"])
wanted, joined = set(sys.argv[1:]), set()
while joined != wanted and time.monotonic() < ends and not any(logs.glob("*.ended")):
    time.sleep(0.3)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        if not ray.is_initialized():
            ray.init(address=f"{host}:{port}", log_to_driver=False, logging_level="CRITICAL")
        joined = {node["Labels"].get("slurm-node") for node in ray.nodes() if node["Alive"]} & wanted
    except OSError:  # the head is not up yet
        continue
print(len(joined), *sorted(wanted - joined))
'

export LOGS=$PWD/slurm-$SLURM_JOB_ID.nodes
rm -rf -- "$LOGS" # of an earlier start of this job
mkdir -m 700 "$LOGS"
child='' signalled='' interrupted='' code=0
pass_on() {
    signalled=1 interrupted=1
    [[ -z $child ]] || kill -TERM "$child" 2>/dev/null || true
}
trap pass_on USR1 TERM

# Runs a command until it ends, and sets `code`. A signal in between is passed on to it, a second one as well.
attended() {
    "$@" &
    child=$!
    [[ -z $signalled ]] || pass_on
    while true; do
        interrupted='' code=0
        wait "$child" || code=$?
        if [[ -z $interrupted ]] || ((code <= 128)); then break; fi # otherwise the signal ended `wait`, not the command
    done
    child=''
}

srun --ntasks="${#nodes[@]}" --ntasks-per-node=1 --kill-on-bad-exit=0 --wait=0 \
    bash -c "$(declare -f start_node); start_node" >"$LOGS/srun.log" 2>&1 &
step=$!
end_step() { # `srun` answers SIGTERM by killing its tasks, so the tasks get it, not `srun`
    scancel --signal=TERM "$SLURM_JOB_ID.0" 2>/dev/null || true
    for _ in {1..300}; do kill -0 "$step" 2>/dev/null || return 0; sleep 0.1; done
    kill "$step" 2>/dev/null || true
    wait "$step" || true
}
trap end_step EXIT

attended python -c "$count_nodes" "${nodes[@]}" >"$LOGS/joined.txt" 2>"$LOGS/joined.log"
if [[ -z $signalled ]]; then
    read -r joined missing <"$LOGS/joined.txt" || joined=0 missing=${nodes[*]}
    echo "$joined of ${#nodes[@]} nodes joined Ray${missing:+; missing: $missing}"
    if [[ $missing ]]; then
        echo "not all nodes joined within $join_seconds s; see $LOGS, or leave a node out by sbatch --exclude=NODE" >&2
        exit 1
    fi
    attended python -m orchestrator.sweep "$@" --address "$HEAD_IP:$HEAD_PORT"
fi

trap '' USR1 TERM
end_step
trap - EXIT
((code != 0)) || rm -rf -- "$LOGS"
state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T || true) # not RUNNING if Slurm is ending the job: scancel
if [[ $signalled && $state == RUNNING ]] && ((code != 0 && code != 2)); then
    restarts=${SLURM_RESTART_COUNT:-0}
    if ((restarts < most_requeues)); then
        echo "requeued ($((restarts + 1)) of at most $most_requeues); the sweep resumes where it stopped"
        scontrol requeue "$SLURM_JOB_ID"
    else
        echo "not requeued again after $restarts times; submit it again to resume the sweep" >&2
    fi
fi
exit "$code"
