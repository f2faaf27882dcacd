"""The seam between the orchestrator and the code that trains.

The orchestrator and the reports know a trainer only as a `Workload`: seven members, and optional parts (`Extras`).
`workload: my_trainer.py` in a search space names one: a Python file beside it, or an installed module
(`my_package.my_trainer`). Its object `WORKLOAD` is the workload. Without the key it is `trainer.workload`.

How the pieces are used:

- The fields of `config_type` are the keys of search spaces: types and defaults check values, docstrings describe them.
  `fields` has markers for paths, limits and fields that may stay unset.
- The id of a trial is a hash of its config, the digest of its `Inputs`, `result_version`, and the name of the workload
  unless that is the built-in one.
- `metrics` say how figures are called and shown. The plan of a sweep records them, so that reports import no trainer.
- A worker loads the workload before it unpickles the config, from `WorkloadSource`, which travels with the task.
- Results of other code of the trainer are noticed by `Extras.code`, by default the digest of the workload's own file.
- Where a process needs the workload of a trial it is passed along (`SweepSpec.workload`, `Task.workload`). Only while
  files are read is it a context variable, because validators of single values have no argument for it.

Imports the standard library and `orchestrator.machine` only, so that a trainer may import it.
"""

from __future__ import annotations

from orchestrator.workload.caption import same_or_varied
from orchestrator.workload.data_record import DataRecord, SplitRecord
from orchestrator.workload.extras import Code, Extras, PlannedRow
from orchestrator.workload.inputs import Inputs, Remember
from orchestrator.workload.metric import Metric
from orchestrator.workload.protocol import Workload
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.trial_result import Progress, TrialResult

__all__ = [
    "Code",
    "DataRecord",
    "Extras",
    "Inputs",
    "Metric",
    "PlannedRow",
    "Progress",
    "Remember",
    "Runtime",
    "SplitRecord",
    "TrialResult",
    "Workload",
    "same_or_varied",
]
