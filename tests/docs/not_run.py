"""The commands on the pages that no test of this folder runs, and why.

Those of our programs must still be command lines that the program accepts, and those of make and pip must name targets
and extras that exist (`test_commands.py`). All other commands are run.
"""

from __future__ import annotations

__all__ = ["NOT_RUN"]

NOT_RUN = {
    # takes long, and something else runs it
    "make sweep": "sets up .venv and trains 30 trials, four minutes; tests/end_to_end/test_sweep.py runs sweeps",
    "make test": "runs these tests",
    "make test-all": "runs these tests; .ci/run calls it",
    "make test-*": "a part of make test-all",
    "make lint": "a part of make test",
    "make docs-serve": "serves until Ctrl-C",
    "make docs": "tests/docs/test_site.py builds the site",
    "make bench*": "takes up to 65 minutes; tests/benchmarks runs each benchmark with --quick",
    "make .venv/installed": "installs; CI does it",
    "bash benchmarks/card.sh": "needs a GPU",
    "python -m benchmarks.scale --quick": "tests/benchmarks/test_benchmarks.py runs it",
    "python -m trainer.golden*": "takes two minutes; tests/trainer/golden",
    "python -m tests.chaos*": "takes minutes; tests/chaos/test_chaos.py runs five faults",
    ".venv/bin/python -m tests.chaos*": "takes minutes; tests/chaos/test_chaos.py runs five faults",
    "CHAOS_ROUNDS=40*": "takes minutes; tests/chaos/test_chaos.py runs five faults",
    "*python -m pytest *": "runs tests",
    # a page has a test of its own that follows it literally
    "cd examples/own_*": "tests/end_to_end/test_own_trainer_page.py",
    "python -m orchestrator.sweep digits.yaml --executor serial": "tests/end_to_end/test_own_trainer_page.py",
    "python -m orchestrator doctor digits.yaml": "needs the example; tests/orchestrator/doctor",
    "python -m orchestrator schema --workload digits.yaml*": "tests/orchestrator/spec/test_json_schema.py",
    "python -m trainer.data init *": "tests/end_to_end/test_own_data.py follows docs/own_data.md",
    "python -m trainer.data check street *": "tests/end_to_end/test_own_data.py follows docs/own_data.md",
    "python -m trainer.data check FOLDER *": "tests/end_to_end/test_own_data.py follows docs/own_data.md",
    "python -m orchestrator.sweep own.yaml*": "tests/end_to_end/test_own_data.py follows docs/own_data.md",
    "python -m trainer.plugins check my_*": "tests/end_to_end/test_own_method.py follows docs/own_method.md",
    "python -m orchestrator.sweep boundary.yaml*": "tests/end_to_end/test_own_method.py follows docs/own_method.md",
    "python -m orchestrator schema --with my_sampler.py": "tests/end_to_end/test_own_method.py",
    "python -m orchestrator why boundary.yaml": "tests/end_to_end/test_own_method.py follows docs/own_method.md",
    "python -m reports boundary.yaml --style tabs": "tests/orchestrator/test_table_styles.py",
    "python -m reports SPEC.yaml --style plain": "the style is made on the page; tests/reports/render/test_golden.py",
    # changes the machine or the checkout
    "*pip install *": "installs packages; tests/installed installs the wheel",
    "python3 -m venv .venv*": "makes .venv in the checkout; `make` does the same",
    "python -m orchestrator schema": "writes into the checkout; tests/orchestrator/spec/test_json_schema.py",
    "git diff *": "shows what a test has written",
    # serves until Ctrl-C
    "mlflow ui": "serves until Ctrl-C; tests/browser opens it",
    "python -m orchestrator ui*": "serves until Ctrl-C; tests/orchestrator/commands/test_ui.py",
    # needs a server or a cluster
    "RAY_AUTH_MODE=token*": "needs a cluster; tests/end_to_end/test_cluster.py starts one",
    "python -m orchestrator sync --tracking-uri *": "needs a server; tests/orchestrator/commands/test_sync.py",
    "createuser *": "needs PostgreSQL; tests/end_to_end/test_postgres.py starts one",
    "export *": "a part of the set-up of a server; tests/end_to_end/test_postgres.py",
    "read -rs *": "asks for a password",
    "mlflow server *": "a server for a team; tests/end_to_end/test_postgres.py starts one like it",
}
"""Pattern of commands (`*`: anything) -> why, and what runs them instead. The first that matches counts."""
