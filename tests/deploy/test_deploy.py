"""The files in deploy/, checked without a cloud: their schemas, the shell script, commands and their options."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
from click.testing import CliRunner
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli
from ruamel.yaml import YAML

from orchestrator.sweep import build_parser
from trainer.config import DataConfig

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"


def read(name: str) -> Any:
    """The content of a YAML file in deploy/."""
    return YAML(typ="safe").load((DEPLOY / name).read_text(encoding="utf-8"))


def text(name: str) -> str:
    """A file in deploy/ without comment signs, and with continued lines joined."""
    content = re.sub(r"^# ?", "", (DEPLOY / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return content.replace("\\\n", " ")


def check_sweep(line: str) -> None:
    """The sweep's command line is valid, and the files that it names exist."""
    _, _, arguments = line.partition("orchestrator.sweep")
    words = shlex.split(re.sub(r"\[|\]", "", arguments).replace("--max-concurrent N", "--max-concurrent 8"))
    options = build_parser().parse_args(words)
    spec = PROJECT / options.spec
    assert spec.is_file() or str(options.spec) == "SPEC.yaml"
    assert options.recipe is None or (PROJECT / "search_spaces" / "recipes" / f"{options.recipe}.yaml").is_file()
    for setting in options.set:
        assert setting.split("=")[0].removeprefix("data.") in DataConfig.__dataclass_fields__


def ray_options(command: str) -> set[str]:
    """The options of a command of the installed Ray."""
    shown = CliRunner().invoke(cli, [*command.split(), "--help"])
    assert shown.exit_code == 0, f"ray {command}: no such command"
    return set(re.findall(r"--[a-z][a-z-]*", shown.output)) | hidden(command)


def hidden(command: str) -> set[str]:
    """Also the options that the help does not show or breaks over two lines."""
    found = cli.commands[command.split()[0]]
    return {name for item in found.params for name in [*item.opts, *item.secondary_opts]}


def check_ray(line: str) -> None:
    """The command of Ray exists and has these options."""
    words = line.split()
    options = {word.split("=")[0] for word in words if word.startswith("--")}
    assert options <= ray_options(words[0]), line


def test_the_cluster_file_is_what_ray_up_takes() -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    config = read("ray_cluster.yaml")
    jsonschema.validate(config, schema)
    validate_config(prepare_config(read("ray_cluster.yaml")))
    gpu = config["available_node_types"]["gpu"]
    assert gpu["min_workers"] == 0 < gpu["max_workers"] <= config["max_workers"]
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}


def test_each_node_of_the_cluster_file_gets_the_token_and_no_data() -> None:
    config = read("ray_cluster.yaml")
    assert ("~/.ray/auth_token", "~/.ray/auth_token") in config["file_mounts"].items()
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all(line.startswith("RAY_AUTH_MODE=token ray start ") for line in starts if "ray start" in line)
    assert {"**/runs", "**/.git", "**/mlflow.db*"} <= set(config["rsync_exclude"])
    assert "--force" not in (DEPLOY / "ray_cluster.yaml").read_text(encoding="utf-8")


def test_the_commands_of_ray_exist() -> None:
    config = read("ray_cluster.yaml")
    for line in [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]:
        check_ray(line.partition("ray ")[2])
    for command in ("up", "rsync-up", "exec", "down", "get-auth-token", "status"):
        assert f"ray {command}" in text("ray_cluster.yaml") + text("README.md") + text("slurm.sh")
        ray_options(command)
    assert "--generate" in ray_options("get-auth-token")
    assert "--tmux" in ray_options("exec")
    script = text("slurm.sh")
    listed = re.findall(
        r"options\+?=\((.*?)\n? *\)$", script[: script.index("ray start")], flags=re.DOTALL | re.MULTILINE
    )
    check_ray(f"start {' '.join(listed)}")
    assert {"--head", "--address", "--temp-dir", "--labels", "--ray-client-server-port"} <= set(
        re.findall(r"--[a-z-]+", " ".join(listed))
    )


def test_the_sweeps_in_the_files_are_ones_the_program_takes() -> None:
    check_sweep(read("rayjob.yaml")["spec"]["entrypoint"].rstrip('"'))
    on_cloud = re.search(r"python -m (orchestrator\.sweep[^']*)'", text("ray_cluster.yaml"))
    on_slurm = re.search(r"sbatch deploy/slurm\.sh (.*)", text("slurm.sh"))
    by_hand = re.search(r"python -m (orchestrator\.sweep.*)", text("README.md"))
    assert on_cloud
    assert on_slurm
    assert by_hand
    check_sweep(on_cloud[1].replace("\n", " "))
    check_sweep("orchestrator.sweep " + on_slurm[1])
    check_sweep(by_hand[1])


RAY_JOB = {  # fields of KubeRay's ray.io/v1 types that the file uses
    "spec": {"entrypoint", "submissionMode", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"},
    "rayClusterSpec": {"rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "authOptions", "headGroupSpec"},
    "workerGroup": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}


def test_the_ray_job_has_the_fields_of_its_kind() -> None:
    job = read("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job["spec"]) == RAY_JOB["spec"] | {"rayClusterSpec"}
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) == RAY_JOB["rayClusterSpec"] | {"workerGroupSpecs"}
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"rayproject/ray:{cluster['rayVersion']}-" in (DEPLOY / "rayjob.yaml").read_text(encoding="utf-8")
    (group,) = cluster["workerGroupSpecs"]
    assert set(group) == RAY_JOB["workerGroup"]
    assert set(cluster["headGroupSpec"]) == {"rayStartParams", "template"}
    for parameters in (cluster["headGroupSpec"]["rayStartParams"], group["rayStartParams"]):
        assert {f"--{name}" for name in parameters} <= hidden("start")
        assert all(isinstance(value, str) for value in parameters.values()), "KubeRay takes strings"


def pods(job: Any) -> Iterator[Any]:
    """The pod specifications of a RayJob."""
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


def test_pods_share_the_volume_and_workers_know_no_password() -> None:
    head, worker = pods(read("rayjob.yaml"))
    for pod in (head, worker):
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert {"name": "shared", "mountPath": "/shared"} in container["volumeMounts"]
        assert container["resources"]["limits"].keys() == container["resources"]["requests"].keys()
    assert all("valueFrom" in variable for variable in head["containers"][0]["env"]), "a password in a manifest"
    assert "env" not in worker["containers"][0]
    assert worker["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


FAKE = {
    "scontrol": '[[ $1 == requeue ]] && { echo "requeued $2" >>calls.txt; exit; }; echo node1; echo node2; echo node3',
    # runs the command of a step once for each node, and is killed with it, as the real one is not by `scancel`
    "srun": "while [[ $1 == --* ]]; do shift; done\n"
    'for id in 0 1 2; do SLURM_NODEID=$id SLURMD_NODENAME=node$((id + 1)) "$@" & echo $! >>tasks.txt; done; wait',
    "scancel": '[[ $* == "--signal=TERM 7.0" ]] && kill -TERM $(<tasks.txt)',
    "squeue": "echo $JOB_STATE",
    "hostname": "[[ $1 == --ip-address ]] && echo 127.0.1.1 || echo 10.0.0.2 10.0.0.3",
    "timeout": "exit 0",  # the head's port is open
    "ray": 'echo "ray $SLURMD_NODENAME $RAY_AUTH_MODE $RAY_AUTH_TOKEN $*" >>calls.txt\n'
    '[[ $SLURMD_NODENAME != "$BROKEN" ]] || exit 3\n'
    'touch "alive_$SLURMD_NODENAME"; exec sleep 100',
    "python": """case "$*" in
    -c*secrets*) echo 5ec4e7;;
    -c*grpc*) exit 1;;
    -c*ray.nodes*) exec "$REAL_PYTHON" count.py "${@:2}";;
    *) echo "python $*" >>calls.txt; exec driver;;
esac""",
}

RAY = """
import json, pathlib
initialised = []
is_initialized = lambda: bool(initialised)
def init(**options):
    initialised.append(options)
def nodes():
    return [{"Alive": True, "Labels": {"slurm-node": path.name[6:]}} for path in pathlib.Path().glob("alive_*")]
"""
"""Instead of Ray, for the script's own program that counts nodes."""


def slurm(folder: Path, driver: str, **variables: str) -> subprocess.Popen[str]:
    """Run the batch script with shell scripts instead of Slurm and Ray; `driver` is the script run as the sweep."""
    (folder / "bin").mkdir()
    (folder / "n").mkdir()
    for name, body in {**FAKE, "driver": driver}.items():
        path = folder / "bin" / name
        path.write_text(f"#!/usr/bin/env bash\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
    count = "import sys, socket\nsocket.create_connection = lambda *_, **__: open(__file__)\nexec(sys.argv.pop(1))\n"
    (folder / "count.py").write_text(count, encoding="utf-8")
    (folder / "ray.py").write_text(RAY, encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "REAL_PYTHON": sys.executable,
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-3]",
        "SLURM_CPUS_PER_TASK": "16",
        "SLURM_GPUS_ON_NODE": "4",
        "JOB_STATE": "RUNNING",
        "NODE_FOLDER": str(folder / "n"),
        "JOIN_SECONDS": "60",
        "BROKEN": "",
    }
    line = ["bash", str(DEPLOY / "slurm.sh"), "spec.yaml", "--set", "data.root=a b"]
    return subprocess.Popen(
        line, cwd=folder, env=environment | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def calls(folder: Path) -> list[str]:
    """What was called, one a line."""
    return (folder / "calls.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_slurm_script_starts_a_node_each_and_ends_all_it_started(tmp_path: Path, code: int) -> None:
    job = slurm(tmp_path, f"exit {code}")
    output, errors = job.communicate(timeout=60)
    assert (job.returncode, output, errors) == (code, "3 of 3 nodes joined Ray\n", "")
    assert "python -m orchestrator.sweep spec.yaml --set data.root=a b --address 10.0.0.2:20007" in calls(tmp_path)
    starts = {line.split()[1]: line for line in calls(tmp_path) if " start " in line}
    assert set(starts) == {"node1", "node2", "node3"}
    assert all("token 5ec4e7 start" in line for line in starts.values())
    assert all("--num-cpus=16 --num-gpus=4" in line for line in starts.values())
    assert all(f"--labels=slurm-node={node} " in line for node, line in starts.items())
    assert "--head --node-ip-address=10.0.0.2 --port=20007" in starts["node1"]
    assert all("--address=10.0.0.2:20007" in starts[node] for node in ("node2", "node3"))
    assert not any("5ec4e7" in line.partition(" start ")[2] for line in calls(tmp_path)), "a token on a command line"
    assert (tmp_path / "slurm-7.nodes").exists() == (code != 0)
    assert not [line for line in calls(tmp_path) if line.startswith("requeued")]
    assert list((tmp_path / "n").iterdir()) == []
    assert left_over(tmp_path) == []


GENTLE = "trap 'sleep 0.3; echo saved >saved.txt; exit 130' TERM; touch up; while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("sent", "state", "restarts", "said"),
    [
        (signal.SIGUSR1, "RUNNING", "0", "requeued (1 of at most 30); the sweep resumes where it stopped"),
        (signal.SIGTERM, "RUNNING", "4", "requeued (5 of at most 30); the sweep resumes where it stopped"),
        (signal.SIGTERM, "COMPLETING", "0", ""),  # scancel
        (signal.SIGUSR1, "RUNNING", "30", "not requeued again after 30 times; submit it again to resume the sweep"),
    ],
)
def test_a_signal_reaches_the_driver_which_ends_in_its_own_time(
    tmp_path: Path, sent: signal.Signals, state: str, restarts: str, said: str
) -> None:
    job = slurm(tmp_path, GENTLE, JOB_STATE=state, SLURM_RESTART_COUNT=restarts)
    while not (tmp_path / "up").exists():
        assert job.poll() is None
    job.send_signal(sent)
    output, errors = job.communicate(timeout=60)
    assert job.returncode == 130
    assert [*output.splitlines(), *errors.splitlines()] == ["3 of 3 nodes joined Ray", *filter(None, [said])]
    assert ("requeued 7" in calls(tmp_path)) == said.startswith("requeued")
    assert (tmp_path / "saved.txt").read_text(encoding="utf-8") == "saved\n"
    assert left_over(tmp_path) == []


def test_a_sweep_that_finishes_in_spite_of_the_signal_is_not_requeued(tmp_path: Path) -> None:
    job = slurm(tmp_path, GENTLE.replace("exit 130", "exit 0"))
    while not (tmp_path / "up").exists():
        assert job.poll() is None
    job.send_signal(signal.SIGUSR1)
    job.communicate(timeout=60)
    assert job.returncode == 0
    assert "requeued 7" not in calls(tmp_path)


def test_a_missing_node_is_named_and_no_sweep_starts(tmp_path: Path) -> None:
    job = slurm(tmp_path, "exit 0", BROKEN="node2")
    output, errors = job.communicate(timeout=60)
    assert job.returncode == 1
    assert re.fullmatch(r"[012] of 3 nodes joined Ray; missing: .*node2.*\n", output)
    remedy = f"see {tmp_path}/slurm-7.nodes, or leave a node out by sbatch --exclude=NODE"
    assert errors == f"not all nodes joined within 60 s; {remedy}\n"
    assert not any("orchestrator.sweep" in line for line in calls(tmp_path))
    assert left_over(tmp_path) == []


def left_over(folder: Path) -> list[str]:
    """Command lines of processes whose current folder is the test's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found
