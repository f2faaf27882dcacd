"""Every message of the language, word for word: what is wrong in a search space, a recipe or an option, and the remedy.

One table. The last test reads the source: a message that the table lacks fails it.
"""

import ast
import re
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.sweep_spec import read_spec
from trainer.config import BACKBONE_NAMES

PROJECT = Path(__file__).resolve().parents[3]
DATA_SETS = "synthetic, camvid, cityscapes, pascal_context, coco_stuff_10k, coco_stuff_164k, ade20k, folder"
NOTHING = f"no data set, recipe or folder 'nope'; data sets: {DATA_SETS}; available: small; looked in recipes and ."
HEAD = "method: ablation\nrecipe: small\n"
ONE_ROW = HEAD + "rows:\n  a: {}\n"
SCENES = "synthetic, {name: more scenes, data.synthetic.seed: 1}"
ON_DATA = f"{ONE_ROW}data: [{SCENES}]\n"
GRID = "method: grid\nrecipe: small\nparameters:\n"
TWO = GRID + "  optim.lr: {values: [0.1, 0.2]}\n  contrast.memory.kind: {values: [none, pixel]}\n"
SEARCH = "method: random\nrecipe: small\ntrials: 4\nparameters:\n"
DRAWN = SEARCH + "  optim.lr: {min: 0.1, max: 0.2}\n"
README = "search_spaces/README.md"
SYNTAX = "check indentation, colons, brackets and quotes here"

SETTINGS = [
    ("contrast.memory.pixels_per_clas: 3", "unknown key; did you mean 'pixels_per_class'?"),
    ("contrast.temperature: warm", "must be a number, not 'warm'; write for example 0.1"),
    ("contrast.temperature: '0.1'", "must be a number, not '0.1'; write for example 0.1"),
    ("contrast.temperature: .nan", "must be a number, not nan; write for example 0.1"),
    ("contrast.temperature: -1", "must be positive; got -1.0"),
    ("contrast.memory.kind: pixels", "'pixels' is not a choice; choose none, pixel, region, pixel_region"),
    ("contrast.labels: true", "true is not a choice; choose ground_truth, shuffled"),
    ("contrast.source: ~", "null is not a choice; choose none, intra_image, inter_image"),
    ("schedule.steps: 1.5", "must be a whole number, not 1.5; write for example 300"),
    ("schedule.steps: true", "must be a whole number, not true; write for example 300"),
    ("schedule.steps: '3'", "must be a whole number, not '3'; write for example 300"),
    ("schedule.steps: 0", "must be at least 1; got 0"),
    ("model.stem: deeper", "'deeper' is not a choice; choose plain, deep"),
    ("model.fusion_kernel: 5", "5 is not a choice; choose 1, 3"),
    ("model.aux_channels: 4", "must be at least 8; got 4"),
    ("data.crop: [64]", "must be a list of 2 whole numbers, not [64]; write for example [96, 128]"),
    ("data.base_size: 520", "a block, not a value; set a key in it, for example data.base_size.short"),
    ("data.base_size.short: 16", "must be at least 32 pixels; got 16"),
    ("data.base_size.shrt: 520", "unknown key; did you mean 'short'?"),
    ("evaluation.preset: multi", "'multi' is not a choice; choose single_scale, multi_scale_flip"),
    (
        "evaluation.metrics: [f1]",
        "no plugin has a metric 'f1'; name its file in `plugins`",
    ),
    ("data.crop: [64, 16]", "both sides must be at least 32 pixels; got [64, 16]"),
    ("data.root: 3", "must be text, not 3; put it in quotes"),
    ("temperature: 1", "unknown key; did you mean 'contrast.temperature'?"),
    ("memory.kind: pixel", "unknown key; did you mean 'contrast.memory.kind'?"),
    (
        "optim.learning: 1",
        (
            "unknown key; choose lr, momentum, weight_decay, poly_power, head_lr_multiplier, "
            "decay_norms_and_biases, clip_norm, ema_decay, fused"
        ),
    ),
    ("foo: 1", "unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute"),
    ("contrast: 1", "a block, not a value; set a key in it, for example contrast.source"),
    ("seed: 3", "a seed repeats a row and is not a setting; use `seeds`"),
    ("compute.cuda_graphs: true, compute.compile: true", "not together with compute.compile; set one of them to false"),
    (
        "compute.cuda_graphs: true, schedule: {batch_size: 4, accumulation_steps: 2}",
        "not with gradient accumulation; set it to false, or schedule.accumulation_steps to 1",
    ),
    (
        "model.backbone: resnt",
        f"unknown backbone 'resnt'; choose {', '.join(BACKBONE_NAMES)}, or timm/<name>",
    ),
]
"""A setting of a row, and the message after its key."""

SCRIPT = (
    "method: ablation\n"
    "workload: {command: 'echo {lr} {seed}', settings: {lr: 1.0}, metrics: {final/a: {direction: max}}}\n"
)
FILES = [
    (
        f"{HEAD}workload: 3\nrows: {{a: {{}}}}\n",
        [
            "3: workload: must name a .py file or an installed module, or be a block with the command of a script; write for example my_trainer.py"
        ],
    ),
    (
        f"{HEAD}workload: no_such_trainer\nrows: {{a: {{}}}}\n",
        [
            "3: workload: no_such_trainer: ModuleNotFoundError: No module named 'no_such_trainer'; it cannot be imported",
        ],
    ),
    (
        f"{SCRIPT}plugins: [mine.py]\nrows: {{a: {{}}}}\n",
        ["3: plugins: the workload 'echo {lr} {seed}' takes no plugins; remove this key"],
    ),
    (
        f"{SCRIPT}tracking: {{models: best}}\nrows: {{a: {{}}}}\n",
        [
            "3: tracking.models: the workload 'echo {lr} {seed}' exports no models; write none, or give its extras an `export`"
        ],
    ),
    (f"{HEAD}rows: {{}}\n", ["3: rows: an ablation needs at least one row; add `LABEL: {key: value}`"]),
    (
        f"{HEAD}plugins: 3\nrows: {{a: {{}}}}\n",
        ["3: plugins: must be a list of files or modules, not 3; write for example [my_sampler.py]"],
    ),
    (f"{HEAD}plugins: [mine, mine]\nrows: {{a: {{}}}}\n", ["3: plugins: 'mine' is listed twice; remove one"]),
    (
        f"{HEAD}plugins: [nosuch]\nrows: {{a: {{}}}}\n",
        [
            "3: plugins: no module nosuch in Python source is installed; install it, or give a .py file",
        ],
    ),
    (HEAD, ["1: rows: an ablation needs at least one row; add `LABEL: {key: value}`"]),
    (f"{HEAD}rows: {{'': {{}}}}\n", ["3: rows: a row without a label; name it"]),
    (f"{HEAD}rows: {{a: 3}}\n", [f"3: rows.a: must be a block of `key: value` lines, not 3; see {README}"]),
    ("recipe: small\nrows: {a: {}}\n", [f"1: method: missing; add `method: ablation`, see {README}"]),
    (
        "method: ablation\nrows: {a: {}}\n",
        ["1: recipe: missing; add `recipe: NAME` or --recipe NAME (available: small; looked in recipes and .)"],
    ),
    (
        "method: ablation\nrecipe: smal\nrows: {a: {}}\n",
        ["2: recipe: no recipe 'smal'; available: small; looked in recipes and ."],
    ),
    (
        f"{HEAD}rows: {{a: {{contrast: {{labels: shuffled, as_released: true, memory.kind: pixel}}}}}}\n",
        [
            (
                "3: contrast.labels: shuffled is not supported with contrast.as_released, whose memory is filed under "
                "wrong labels anyway; remove one of them"
            )
        ],
    ),
    (
        f"{ONE_ROW}seeds: 0\n",
        ["5: seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds"],
    ),
    (f"{ONE_ROW}seeds: [1, 2, 1]\n", ["5: seeds: seed 1 is given twice; remove one"]),
    (
        f"{ONE_ROW}baseline: a\nseeds: {{until: decided, least: 3}}\n",
        ["6: seeds: unknown key least; write for example {min: 3, max: 10, until: decided}"],
    ),
    (
        f"{ONE_ROW}baseline: a\nseeds: {{min: 3}}\n",
        [
            (
                "6: seeds: needs two numbers and `until: decided`, not {min: 3}; write for example "
                "{min: 3, max: 10, until: decided}"
            )
        ],
    ),
    (
        f"{ONE_ROW}baseline: a\nseeds: {{min: 2, max: 5, until: decided}}\n",
        [
            (
                "6: seeds: must satisfy 3 <= min <= max <= 10000, not min 2 and max 5; write for example "
                "{min: 3, max: 10, until: decided}"
            )
        ],
    ),
    (
        f"{ONE_ROW}seeds: {{until: decided}}\n",
        ["5: seeds: until: decided needs a baseline to compare with; add `baseline: LABEL`"],
    ),
    (
        f"{ONE_ROW}seeds: [-1]\n",
        ["5: seeds: must be a number or a list of whole numbers from 0, not [-1]; write for example 3"],
    ),
    (f"{HEAD}rows: {{pixel: {{}}}}\nbaseline: pixels\n", ["4: baseline: no row 'pixels'; did you mean 'pixel'?"]),
    (f"{ONE_ROW}baseline: b\n", ["5: baseline: no row 'b'; choose a"]),
    (
        f"{ONE_ROW}baseline: {{a: 1}}\n",
        [
            "5: a: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute",
            "5: baseline: must be the label of a row in an ablation; choose a",
        ],
    ),
    (f"{ONE_ROW}metrics: x\n", ["5: metrics: unknown key; did you mean 'metric'?"]),
    (f"{ONE_ROW}metric: {{name: 3}}\n", ["5: metric.name: must be text, not 3; put it in quotes"]),
    (f"{ONE_ROW}metric: {{goal: max}}\n", ["5: metric.goal: 'max' is not a choice; choose maximize or minimize"]),
    (
        f"{ONE_ROW}metric: {{goal: maximize, mode: min}}\n",
        ["5: metric: goal maximize contradicts mode min; remove one of the two"],
    ),
    (
        f"{ONE_ROW}resources: {{gpus: two, cpus: 0}}\n",
        [
            "5: resources.cpus: must be a number above 0, not 0; write for example 1",
            "5: resources.gpus: must be auto or a number from 0, not 'two'; write for example 1 or 0.25",
        ],
    ),
    (f"{ONE_ROW}table: {{columns: a}}\n", ["5: table.columns: must be a list, not 'a'; write [...]"]),
    (
        f"{ONE_ROW}table: {{styles: [word, csv, csv, latx]}}\n",
        [
            "5: table.styles: no style 'word', nor of a plugin in `plugins`; choose markdown, latex, preview, html, csv, parquet",
            "5: table.styles: 'csv' is listed twice; remove one",
            "5: table.styles: no style 'latx', nor of a plugin in `plugins`; did you mean 'latex'?",
        ],
    ),
    (
        f"{ONE_ROW}table:\n  rows: a\n  layout: square\n  split: dev\n  intervals: 1\n  precision: {{final/miou: 10}}\n",
        [
            "6: table.rows: must be a list of labels or a number from 1, not 'a'; write for example 10",
            "7: table.layout: 'square' is not a choice; choose auto, list, groups or matrix",
            "10: table.precision.final/miou: must be a number of decimals from 0 to 9, not 10; write for example 2",
            "8: table.split: 'dev' is not a choice; choose test or val",
            "9: table.intervals: must be true or false, not 1; write true",
        ],
    ),
    (
        f"{ONE_ROW}table: {{rows: [a, b], precision: {{final/mio: 1}}, direction: {{a/b: up}}, layout: matrix}}\n",
        [
            "5: table.rows: no row 'b'; choose a",
            "5: table.layout: a matrix needs `method: grid`; write layout: list",
            "5: table.precision.final/mio: not a column of this table; did you mean 'final/miou'?",
            "5: table.direction.a/b: not a column of this table; choose final/miou, final/pixel_accuracy, cost/train_minutes",
        ],
    ),
    (
        f"{GRID}  optim.lr: {{values: [0.1, 0.2]}}\ntable: {{layout: matrix, group: [optim.rl]}}\n",
        [
            "5: table.group: no factor 'optim.rl'; did you mean 'optim.lr'?",
            "5: table.layout: a matrix needs a grid over two factors; write layout: list or groups",
        ],
    ),
    (
        f"{DRAWN}table: {{rows: [a]}}\n",
        [
            "6: table.rows: the trials of a search have no labels in the file; write how many to show, for example rows: 10",
        ],
    ),
    (f"{ONE_ROW}rows: {{b: {{}}}}\n", ["5: rows: given twice (also at s.yaml:3); remove one of the two"]),
    (
        f"{HEAD}rows:\n  a: {{optim.lr: 0.1}}\nfixed: {{optim.lr: 0.2}}\n",
        ["5: optim.lr: has no effect, as every row sets this key; remove one of the two"],
    ),
    (
        f"{HEAD}rows:\n  a: {{optim: {{lr: 0.1}},\n      optim.lr: 0.2}}\n",
        ["5: optim.lr: given twice (also at s.yaml:4); remove one"],
    ),
    (GRID, ["3: parameters: a grid needs a key with `values`; add one"]),
    (
        f"{GRID}  optim.lr: {{value: 1}}\n",
        ["3: parameters: a grid needs a key with `values`; add one"],
    ),
    (f"{GRID}  optim.lr: {{values: []}}\n", ["4: optim.lr: no values; list at least one"]),
    (f"{GRID}  optim.lr: {{values: [0.1, 1e-1]}}\n", ["4: optim.lr: 0.1 is listed twice; remove one"]),
    (f"{GRID}  optm.lr: {{values: [1, 2]}}\n", ["4: optm.lr: unknown key; did you mean 'optim.lr'?"]),
    (
        f"{GRID}  optim.lr:\n    values:\n      - 1\n      - a\n      - b\n",
        [
            "7: optim.lr: must be a number, not 'a'; write for example 0.01",
            "8: optim.lr: must be a number, not 'b'; write for example 0.01",
        ],
    ),
    (
        f"{GRID}  optim.lr: [1]\n",
        [f"4: parameters.optim.lr: must be a block of `key: value` lines, not [1]; see {README}"],
    ),
    (
        "method: asha\nrecipe: small\n",
        [
            "1: method: asha stops trials early but does not choose their values; write `method: random` and `scheduler: {kind: asha}`",
        ],
    ),
    (
        "method: gird\nrecipe: small\n",
        [
            "1: method: 'gird' is not a choice; choose ablation, grid, random or tpe",
        ],
    ),
    (
        f"{ONE_ROW}name: a/b\n",
        [
            "5: name: 'a/b' cannot name a directory; use at most 100 letters, digits, _ - and .",
        ],
    ),
    (
        f"{ONE_ROW}trials: 3\nzip: []\nwhen: {{}}\n",
        [
            "6: zip: needs `method: grid`; remove it or change the method",
            "7: when: needs `method: grid | random | tpe`; remove it or change the method",
            "5: trials: needs `method: random | tpe`; remove it or change the method",
        ],
    ),
    (
        f"{ONE_ROW}parameters: {{}}\n",
        [
            "5: parameters: needs `method: grid | random | tpe`; remove it or change the method",
        ],
    ),
    (
        f"{GRID}  optim.lr: {{value: 1, values: [0.1]}}\n",
        [
            "4: optim.lr: not one of the forms of a parameter; write `values: [...]` or `value: x`",
        ],
    ),
    (
        f"{GRID}  optim.lr: {{min: 1}}\n",
        [
            "4: optim.lr: a grid needs `values: [...]`; list them, or draw them with `method: random` or `method: tpe`",
        ],
    ),
    (
        f"{GRID}  optim.lr: {{minimum: 1}}\n",
        [
            "4: parameters.optim.lr.minimum: unknown key; did you mean 'min'?",
        ],
    ),
    (
        f"{ONE_ROW}seeds: 100000\n",
        [
            "5: seeds: more than 10000 repetitions; to use this one seed write [100000]",
        ],
    ),
    (
        f"{ONE_ROW}baseline: [a]\n",
        [
            "5: baseline: must be the label of a row, not ['a']; put it in quotes",
        ],
    ),
    (
        f"{ONE_ROW}resources: {{gpus: 1.5, processes: warm, ranks: 0}}\n",
        [
            "5: resources.gpus: more than one GPU must be a whole number, not 1.5; write 2",
            "5: resources.ranks: must be a whole number from 1, not 0; write for example 4",
            "5: resources.processes: no longer a key, because every trial has a process of its own; remove it",
        ],
    ),
    (
        f"{ONE_ROW}resources: {{gpus: 4, ranks: 2}}\n",
        [
            "5: resources: ranks 2 contradicts gpus 4, which means one rank per GPU; remove ranks",
        ],
    ),
    (
        f"{HEAD}rows:\n  a: {{compute.precision: float16}}\n  b: {{compute.cuda_graphs: true}}\nresources: {{gpus: 0}}\n",
        [
            "4: compute.precision: float16 needs a CUDA device; use bfloat16",
            "5: compute.cuda_graphs: needs a CUDA device; set it to false",
        ],
    ),
    (
        f"{HEAD}rows:\n  a: {{compute.compile: true}}\n  b: {{compute.cuda_graphs: true}}\nresources: {{gpus: 2}}\n",
        [
            "4: compute.compile: not supported with several ranks; use one rank",
            "5: compute.cuda_graphs: not supported with several ranks; use one rank",
        ],
    ),
    (
        f"{ONE_ROW}budget: {{gpu_hours: 0, wall_hours: soon, days: 3}}\n",
        [
            "5: budget.gpu_hours: must be a number above 0, not 0; write for example 1",
            "5: budget.wall_hours: must be a number above 0, not 'soon'; write for example 1",
            "5: budget.days: unknown key; choose gpu_hours, wall_hours, trial_hours",
        ],
    ),
    (
        f"{ONE_ROW}retries: {{lost: -1, timed_out: 1.5, back_off_seconds: -1}}\n",
        [
            "5: retries.lost: must be a whole number from 0, not -1; write for example 3",
            "5: retries.timed_out: must be a whole number from 0, not 1.5; write for example 3",
            "5: retries.back_off_seconds: must be a number from 0, not -1; write for example 5",
        ],
    ),
    (
        f"{ONE_ROW}max_consecutive_failures: few\n",
        [
            "5: max_consecutive_failures: must be a whole number from 0, not 'few'; write for example 3",
        ],
    ),
    (
        f"{ONE_ROW}scheduler: {{kind: asha}}\n",
        [
            "5: scheduler: needs `method: random | tpe`; remove it or change the method",
        ],
    ),
    (
        f"{TWO}scheduler: {{kind: median}}\n",
        [
            "6: scheduler: needs `method: random | tpe`; remove it or change the method",
        ],
    ),
    (
        f"{DRAWN}scheduler: {{kind: pbt}}\n",
        [
            "6: scheduler.kind: PBT changes the configuration of a running trial, but a trial is identified by its configuration; choose asha",
        ],
    ),
    (
        f"{DRAWN}scheduler: {{kind: halving, grace_fraction: 1, reduction_factor: 1, startup_trials: 0}}\n",
        [
            "6: scheduler.kind: 'halving' is not a choice; choose asha, median or hyperband",
            "6: scheduler.grace_fraction: must be between 0 and 1, not 1; write for example 0.25",
            "6: scheduler.reduction_factor: must be a whole number from 2, not 1; write for example 5",
            "6: scheduler.startup_trials: must be a whole number from 1, not 0; write for example 4",
        ],
    ),
    (
        f"{DRAWN}scheduler: {{grace_fraction: 0.1}}\n",
        [
            "6: scheduler.grace_fraction: 0.1 ends before the warm-up of the trials (contrast.warmup_fraction is 0.125), so they would be compared before all of their training acts; write 0.125",
        ],
    ),
    (
        f"{TWO}metric: [{{name: final/miou}}, {{name: cost/train_minutes}}]\n",
        [
            "6: metric: only a search has several objectives; name one, and show the others with table.columns",
        ],
    ),
    (
        f"{TWO}metric: []\n",
        [
            "6: metric: an empty list; name at least one",
        ],
    ),
    (
        f"{TWO}metric: [{{names: final/miou}}]\n",
        [
            "6: metric.0.names: unknown key; did you mean 'name'?",
        ],
    ),
    (
        f"{TWO}table: 3\n",
        [
            "6: table: must be a block of `key: value` lines, not 3; see search_spaces/README.md",
        ],
    ),
    (
        f"{HEAD}one_at_a_time: true\n",
        [
            "3: one_at_a_time: takes what to vary, not true or false; write `{key: [values]}`, or `{label: {settings}}`",
        ],
    ),
    (
        f"{HEAD}one_at_a_time: {{optim.lr: 0.1}}\n",
        [
            "3: one_at_a_time.optim.lr: must be a list, not 0.1; write [...]",
        ],
    ),
    (
        f"{HEAD}one_at_a_time: {{optim.lr: []}}\n",
        [
            "3: optim.lr: no values; list at least one",
        ],
    ),
    (
        f"{HEAD}one_at_a_time: {{optim.lr: [0.01]}}\n",
        [
            "3: optim.lr: lists only the baseline's own value 0.01; add another value",
        ],
    ),
    (
        f"{HEAD}one_at_a_time: {{optim.lr: [0.1, 0.1], optm.lr: [1]}}\n",
        [
            "3: optim.lr: 0.1 is listed twice; remove one",
            "3: optm.lr: unknown key; did you mean 'optim.lr'?",
        ],
    ),
    (
        f"{HEAD}one_at_a_time: {{optim.lr: [0.1]}}\nbaseline: optim.lr=0.1\n",
        [
            "4: baseline: no row 'optim.lr=0.1'; did you mean 'lr=0.1'?",
        ],
    ),
    (
        f"{ONE_ROW}one_at_a_time: {{optim.lr: [0.1]}}\n",
        [
            "5: one_at_a_time: needs one row to vary; add `baseline: LABEL`; choose a",
        ],
    ),
    (
        f"{ONE_ROW}one_at_a_time: {{optim.lr: [0.1]}}\nbaseline: b\n",
        [
            "6: baseline: no row 'b'; choose a",
        ],
    ),
    (
        f"{HEAD}rows: {{lr=0.1: {{}}}}\nbaseline: lr=0.1\none_at_a_time: {{optim.lr: [0.1]}}\n",
        [
            "5: rows: a second row 'lr=0.1'; rename one of the two",
        ],
    ),
    (
        f"{HEAD}leave_one_out: true\n",
        [
            "3: leave_one_out: takes what to vary, not true or false; write `{key: [values]}`, or `{label: {settings}}`",
        ],
    ),
    (
        f"{HEAD}leave_one_out: [a]\n",
        [
            "3: leave_one_out: must be a block of `key: value` lines, not ['a']; see search_spaces/README.md",
        ],
    ),
    (
        f"{HEAD}leave_one_out:\n  a: {{}}\n  b: {{optim.lr: 0.01}}\n  c: {{optim.lr: 0.1}}\n  d: {{optim: {{lr: 0.2}}}}\n",
        [
            "4: leave_one_out.a: a component without settings; add `key: value`",
            "5: leave_one_out.b: leaving it out changes nothing; set the value without it under `fixed`",
            "6: optim.lr: also set by 'b'; set it in one component only",
            "7: optim.lr: also set by 'c'; set it in one component only",
        ],
    ),
    (
        f"{HEAD}leave_one_out: {{a: {{optim.lr: 0.1}}}}\nbaseline: {{optim.lr: 1}}\n",
        [
            "4: baseline: must be the label of a row in an ablation; choose full",
        ],
    ),
    (
        f"{HEAD}leave_one_out: {{a: {{optim.lr: 0.1}}}}\none_at_a_time: {{optim.lr: [0.1]}}\n",
        [
            "4: one_at_a_time: cannot be combined with leave_one_out; write one of the two per file",
        ],
    ),
    (
        f"{HEAD}leave_one_out: {{a: {{optim.lr: 0.1}}}}\nbaseline: w/o b\n",
        [
            "4: baseline: no row 'w/o b'; did you mean 'w/o a'?",
        ],
    ),
    (
        f"{TWO}zip: [[optim.lr]]\n",
        [
            "6: zip.0: nothing to pair; name two factors or more",
        ],
    ),
    (
        f"{TWO}zip: [optim.lr]\n",
        [
            "6: zip.0: must be a list, not 'optim.lr'; write [...]",
        ],
    ),
    (
        f"{TWO}zip: [[optim.lr, contrast.memory.kid]]\n",
        [
            "6: zip.0: no factor 'contrast.memory.kid'; did you mean 'contrast.memory.kind'?",
        ],
    ),
    (
        f"{TWO}zip: [[optim.lr, contrast.memory.kind], [optim.lr, contrast.memory.kind]]\n",
        [
            "6: zip.1: optim.lr is paired twice; remove one",
        ],
    ),
    (
        f"{GRID}  optim.lr: {{values: [0.1, 0.2]}}\n  model.dropout: {{values: [0.1]}}\nzip: [[optim.lr, model.dropout]]\n",
        [
            "6: zip.0: lists of different lengths (optim.lr has 2, model.dropout has 1); give each the same number of values",
        ],
    ),
    (
        f"{TWO}skip: {{optim.lr: 0.1}}\n",
        [
            "6: skip: must be a list, not {optim.lr: 0.1}; write [...]",
        ],
    ),
    (
        f"{TWO}skip: [{{}}, {{optim.lr: 0.3}}, {{model.dropout: 0.1}}, {{optim.lr: x}}]\n",
        [
            "6: optim.lr: must be a number, not 'x'; write for example 0.01",
            "6: skip.0: skips everything; name a factor and its value, or remove the entry",
            "6: model.dropout: not a factor of this grid; choose optim.lr, contrast.memory.kind",
            "6: skip.1: matches no combination; correct its values, or remove the entry",
        ],
    ),
    (
        f"{TWO}skip: [{{optim.lr: 0.1}}, {{optim.lr: 0.2}}]\n",
        [
            "6: skip: every combination is left out; remove an entry",
        ],
    ),
    (
        f"{TWO}when: {{optim.lr: {{contrast.memory.kind: pixel}}}}\n",
        [
            "6: when.optim.lr.contrast.memory.kind: must be a list, not 'pixel'; write [...]",
        ],
    ),
    (
        f"{TWO}when: {{optim.lr: {{}}, model.dropout: {{optim.lr: [0.1]}}}}\n",
        [
            "6: when.optim.lr: no condition; write `{other.key: [values]}`, or remove it",
            "6: when.model.dropout: no such parameter; choose optim.lr, contrast.memory.kind",
        ],
    ),
    (
        f"{TWO}when:\n  optim.lr:\n    contrast.memory.kind: []\n    contrast.memory.kid: [pixel]\n",
        [
            "8: when.optim.lr.contrast.memory.kind: no values; list at least one",
            "9: when.optim.lr.contrast.memory.kid: no parameter with `values`; did you mean 'contrast.memory.kind'?",
        ],
    ),
    (
        f"{TWO}when: {{optim.lr: {{contrast.memory.kind: [region, pixels]}}}}\n",
        [
            "6: when.optim.lr.contrast.memory.kind: 'region' is not among the values of contrast.memory.kind; choose 'none', 'pixel'",
            "6: when.optim.lr.contrast.memory.kind: 'pixels' is not a choice; choose none, pixel, region, pixel_region",
        ],
    ),
    (
        f"{TWO}when:\n  optim.lr: {{contrast.memory.kind: [pixel]}}\n  contrast.memory.kind: {{optim.lr: [0.1]}}\n",
        [
            "6: when: the conditions form a cycle (optim.lr -> contrast.memory.kind -> optim.lr); remove one",
        ],
    ),
    (
        "method: random\nrecipe: small\nparameters:\n  optim.lr: {min: 0.1, max: 0.2}\n",
        [
            "1: trials: missing; say how many to draw, for example trials: 40",
        ],
    ),
    (
        "method: random\nrecipe: small\ntrials: 0\nparameters:\n  optim.lr: {min: 0.1, max: 0.2}\n",
        [
            "3: trials: must be a whole number from 1, not 0; write for example 4",
        ],
    ),
    (
        "method: random\nrecipe: small\ntrials: 1000000\nparameters:\n  optim.lr: {min: 0.1, max: 0.2}\n",
        [
            "3: trials: 1000000 is more than 100000; write a smaller number",
        ],
    ),
    (
        f"{DRAWN}seeds: 3\n",
        [
            "6: seeds: a search trains each trial with one seed, not 3; write `seeds: 1`, and repeat the best rows in an ablation",
        ],
    ),
    (
        f"{DRAWN}baseline: a\n",
        [
            "6: baseline: a search has no rows to name; write the settings of an extra row, `{key: value}`",
        ],
    ),
    (
        f"{DRAWN}search_seed: x\n",
        [
            "6: search_seed: must be a whole number from 0, not 'x'; write for example 3",
        ],
    ),
    (
        f"{DRAWN}skip: []\nrows: {{a: {{}}}}\n",
        [
            "7: rows: needs `method: ablation`; remove it or change the method",
            "6: skip: needs `method: grid`; remove it or change the method",
        ],
    ),
    (
        f"{DRAWN}metric: [{{name: a}}, {{name: a}}]\n",
        [
            "6: metric: an objective is named twice; remove one",
        ],
    ),
    (
        f"{DRAWN}metric: [{{name: a}}, {{name: b}}]\nscheduler: {{kind: asha}}\n",
        [
            "7: scheduler: cannot rank trials by several objectives; remove it, or name one metric",
        ],
    ),
    (
        f"{DRAWN}fixed: {{optim.lr: 0.1}}\n",
        [
            "6: optim.lr: has no effect, as every row sets this key; remove one of the two",
        ],
    ),
    (
        f"{DRAWN}when: {{optim.lr: {{model.dropout: [1]}}}}\n",
        [
            "6: when.optim.lr.model.dropout: no parameter with `values`; a condition needs another parameter that lists `values`",
        ],
    ),
    (
        "method: random\nrecipe: small\ntrials: 4\n",
        [
            "1: parameters: a search needs a key with `min` and `max` or `values`; add one",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{value: 1}}\n",
        [
            "4: parameters: a search needs a key with `min` and `max` or `values`; add one",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{}}\n",
        [
            "5: optim.lr: not one of the forms of a parameter; write `values: [...]`, `value: x` or `min: a, max: b`",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 1, values: [1]}}\n",
        [
            "5: optim.lr: not one of the forms of a parameter; write `values: [...]`, `value: x` or `min: a, max: b`",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 1}}\n",
        [
            "5: optim.lr: no max; write both min and max",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: a, max: .inf}}\n",
        [
            "5: parameters.optim.lr.min: must be a number, not 'a'; write for example 0.1",
            "5: parameters.optim.lr.max: must be a number, not inf; write for example 0.1",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 1, max: 1}}\n",
        [
            "5: optim.lr: min 1.0 is not below max 1.0; swap them, or write `value: x`",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0, max: 1, distribution: log_uniform}}\n",
        [
            "5: optim.lr: min 0.0 has no logarithm; write a min above 0, or draw without log",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0, max: 1, distribution: normal}}\n",
        [
            "5: parameters.optim.lr.distribution: 'normal' is not a choice; choose uniform, log_uniform, int_uniform or int_log_uniform",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0, max: 1, distribution: categorical}}\n",
        [
            "5: parameters.optim.lr.distribution: a categorical parameter lists its values; write only `values: [...]`",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0, max: 1, distribution: int_uniform}}\n",
        [
            "5: optim.lr: 'int_uniform' does not draw numbers; choose uniform or log_uniform",
        ],
    ),
    (
        f"{SEARCH}  schedule.steps: {{min: 1, max: 2, distribution: uniform}}\n",
        [
            "5: schedule.steps: 'uniform' does not draw whole numbers; choose int_uniform or int_log_uniform",
        ],
    ),
    (
        f"{SEARCH}  schedule.steps: {{min: 1, max: 2.5}}\n",
        [
            "5: schedule.steps: must be a whole number, not 2.5; write for example 300",
        ],
    ),
    (
        f"{SEARCH}  schedule.steps: {{min: 1, max: 9, step: 0.5}}\n",
        [
            "5: schedule.steps: step must be a whole number, not 0.5; write for example 1",
        ],
    ),
    (
        f"{SEARCH}  schedule.steps: {{min: 1, max: 9, step: 3}}\n",
        [
            "5: schedule.steps: max 9 is not a whole number of steps from min; write for example max: 7",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0.1, max: 1, step: 0}}\n",
        [
            "5: parameters.optim.lr.step: must be a number above 0, not 0; write for example 1",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0.1, max: 1, step: 1e-320}}\n",
        [
            "5: optim.lr: step 1e-320 is too small for the range; write a larger one, or remove it",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: 0.1, max: 1, step: 0.1, distribution: log_uniform}}\n",
        [
            "5: optim.lr: log_uniform takes no step; remove it, or draw without log",
        ],
    ),
    (
        f"{SEARCH}  model.head: {{min: 0, max: 1}}\n",
        [
            "5: model.head: not a number, so it has no range; write `values: [...]`",
        ],
    ),
    (
        f"{SEARCH}  optm.lr: {{min: 0, max: 1}}\n",
        [
            "5: optm.lr: unknown key; did you mean 'optim.lr'?",
        ],
    ),
    (
        f"{SEARCH}  optim.lr: {{min: -1, max: 1}}\n",
        [
            "5: optim.lr: must be positive; got -1.0",
        ],
    ),
    (
        f"{SEARCH}  model.backbone: {{values: [resnet18, resnt]}}\n",
        [
            "5: model.backbone: unknown backbone 'resnt'; choose resnet18, resnet50, resnet101, hrnet_w18, hrnet_w48, tf_efficientnet_lite0, or timm/<name>",
        ],
    ),
    (
        f"{SEARCH}  contrast.warmup_fraction: {{min: 0.1, max: 0.5}}\nscheduler: {{kind: asha}}\n",
        [
            "6: scheduler.grace_fraction: 0.25 ends before the warm-up of the trials (contrast.warmup_fraction is 0.5), so they would be compared before all of their training acts; write 0.5",
        ],
    ),
    (
        f"{SEARCH}  model.weights: {{values: [none, nowhere.pth]}}\n",
        [
            "5: model.weights: no such file 'nowhere.pth'; choose none, imagenet or the path of a .safetensors or .pth file",
        ],
    ),
    (
        "extends: other.yaml\nmethod: ablation\nrecipe: small\nrows:\n  a: {}\n",
        [
            "1: extends: other.yaml: no such file; did you mean 'shared.yaml' or 's.yaml'? (nor is it in none)",
        ],
    ),
    (
        "extends: []\nmethod: ablation\nrecipe: small\nrows:\n  a: {}\n",
        [
            "1: extends: must be a file or a list of files, not []; write for example ../shared.yaml",
        ],
    ),
    (
        "extends: s.yaml\nmethod: ablation\nrecipe: small\nrows:\n  a: {}\n",
        [
            "1: extends: the files extend each other in a cycle (s.yaml -> s.yaml); remove one",
        ],
    ),
    (
        "extends: [circle.yaml, nothing/x.yaml]\nmethod: ablation\nrecipe: small\nrows:\n  a: {}\n",
        [
            "circle.yaml:1: extends: the files extend each other in a cycle (s.yaml -> circle.yaml -> s.yaml); remove one",
            "1: extends: nothing/x.yaml: no such file; the directory 'nothing' does not exist (nor is it in none)",
        ],
    ),
    (
        "extends: broken.yaml\nmethod: ablation\nrecipe: small\nrows:\n  a: {}\n",
        [
            "broken.yaml:2: a: given twice (also at broken.yaml:1); remove one of the two",
        ],
    ),
    (
        "extends: shared.yaml\nmethod: ablation\nrecipe: small\nrows:\n  b: {optim.lr: 3}\n",
        [
            "shared.yaml:1: seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds",
        ],
    ),
    # several keys, or the parts of one
    (
        f"{HEAD}rows:\n  a: {{contrast.temperature.x: 1, contrast.source:none}}\n",
        [
            "4: contrast.temperature.x: contrast.temperature is a value, not a block; remove the part after it",
            "4: contrast.source:none: unknown key; put a space after the colon",
        ],
    ),
    (
        f"{HEAD}rows:\n  a:\n    data.base_size.short: 64\n    data.base_size.long: 80\n",
        ["6: data.base_size.long: data.base_size.short is set as well; remove one of the two, or set it to null"],
    ),
    (
        f"{HEAD}rows:\n  a:\n    evaluation.preset: single_scale\n    evaluation.flip: true\n",
        [
            (
                "6: evaluation.flip: evaluation.preset (single_scale) sets it as well; remove it, or set evaluation.preset to "
                "null"
            ),
        ],
    ),
    (
        f"{HEAD}rows:\n  a: {{model.backbone: hrnet_w18, data.crop: [64, 80]}}\n",
        ["4: data.crop: an HRNet needs sides that are multiples of 32, not [64, 80]"],
    ),
    (
        f"{HEAD}rows:\n  a: {{data.name: camvid}}\n",
        ["4: data.root: the data set 'camvid' needs its folder; add `data.root: PATH` or `--set data.root=PATH`"],
    ),
    # too much
    (
        f"{GRID}  schedule.steps: {{values: {list(range(1, 401))}}}\n  optim.lr: {{values: {list(range(1, 401))}}}\n",
        ["3: parameters: 160000 combinations, more than 100000; list fewer values"],
    ),
    (
        f"{GRID}  schedule.steps: {{values: {list(range(1, 201))}}}\nseeds: 10000\n",
        ["5: seeds: 200 rows x 10000 seeds are more than 1000000; use fewer"],
    ),
    # files
    ("extends: empty\n" + ONE_ROW, ["1: extends: empty: is a directory; name a .yaml file in it"]),
    (
        "extends: empty/x.yaml\n" + ONE_ROW,
        ["1: extends: empty/x.yaml: no such file; its directory has no .yaml file (nor is it in none)"],
    ),
    (
        "extends: aside/zzz.yaml\n" + ONE_ROW,
        [
            "1: extends: aside/zzz.yaml: no such file; available: latin.yaml, listed.yaml, stray.yaml, unreadable.yaml (nor is it in none)"
        ],
    ),
    (
        "extends: aside/latin.yaml\n" + ONE_ROW,
        ["aside/latin.yaml: not UTF-8 text (invalid continuation byte); save it as UTF-8"],
    ),
    (
        "extends: aside/listed.yaml\n" + ONE_ROW,
        [f"aside/listed.yaml:1: not a block of `key: value` lines; see {README}"],
    ),
    (
        ONE_ROW.replace("small", "aside/listed.yaml"),
        [f"aside/listed.yaml:1: not a block of `key: value` lines; see {README}"],
    ),
    # YAML
    ("", [f"1: not a block of `key: value` lines; see {README}"]),
    ("a:\n\tb: 1\n", ["2: a tab where YAML expects spaces; indent with spaces"]),
    ("a: b: c\n", [f"1: not valid YAML: mapping values are not allowed here; {SYNTAX}"]),
    ("a: 1\n---\nb: 2\n", ["2: a second document (`---`); write one document per file"]),
    ("a: 1\nb: \x01\n", ["2: a control character that YAML forbids; remove it"]),
    ('a: "\\U00110000"\n', [f"1: not valid YAML: the parser fails (chr() arg not in range(0x110000)); {SYNTAX}"]),
    ("[" * 700, ["1: blocks are nested too deeply; use fewer levels"]),
    ("a: &x [*x]\n", ["1: a.0: an alias to the block that contains it; write the value out"]),
    ("a: &x {b: 1}\nc: {<<: *x}\n", ["2: c.<<: merge keys are not supported; write the keys out"]),
    (
        "a: !!set {b}\nc: !!binary b\n",
        [
            "1: a: the tag !!set is not supported; write a plain value",
            "2: c: the tag !!binary is not supported; write a plain value",
        ],
    ),
    ("? [1]\n: 2\n", ["1: a key must be plain text; put it in quotes"]),
    ('"a\\nb": 1\n', ["1: 'a\\nb': a line break or control character in a key; remove it"]),
    ('a: "\\ud800"\n', ["1: a: a lone surrogate or a null character in text; write whole characters"]),
    (
        "a: !!int x\nb: !!float y\n",
        ["1: a: 'x' is not a whole number; remove the tag !!int", "2: b: 'y' is not a number; remove the tag !!float"],
    ),
    (f"a: {2**63}\n", ["1: a: a whole number of more than 63 bits; write a smaller one"]),
    (f"a: {'9' * 5000}\n", ["1: a: a whole number of more than 63 bits; write a smaller one"]),
    (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 6)),
        ["1: more than 100000 values; use fewer aliases"],
    ),
    (
        f"{SEARCH}  optim.lr: {{value: 1}}\nwhen: {{optim.lr: {{model.dropout: [1]}}}}\n",
        [
            "6: when.optim.lr: no such parameter; there is none to choose",
            "4: parameters: a search needs a key with `min` and `max` or `values`; add one",
        ],
    ),
    (
        f"extends: {'x' * 300}/y.yaml\n" + ONE_ROW,
        [f"1: extends: {'x' * 300}/y.yaml: no such file (File name too long); correct the path (nor is it in none)"],
    ),
    (
        HEAD.replace("small", "x" * 300) + "rows: {a: {}}\n",
        [f"2: recipe: no recipe '{'x' * 149} ... {'x' * 49}'; available: small; looked in recipes and ."],
    ),
    (
        f"extends: aside/unreadable.yaml\n{ONE_ROW}",
        ["aside/unreadable.yaml: cannot be read (Input/output error); correct its permissions, or the path"],
    ),
    ("a: 1\n" + "#" * 1_000_000, ["1: more than 1000000 characters; use a grid, or several files"]),
    (
        f"{ONE_ROW}? {'k' * 300}\n: 1\n",
        [f"5: {'k' * 150} ... {'k' * 50}: a key of more than 200 characters; write a shorter one"],
    ),
    (f"{ONE_ROW}seeds: {[*range(10_001)]}\n", ["5: seeds: more than 10000 seeds; list fewer"]),
    (
        f"extends: {['shared_seeds.yaml'] * 51}\n{ONE_ROW}",
        ["1: extends: more than 50 files or 1000000 characters in all; extend fewer files"],
    ),
    (
        (
            f"{GRID}  optim.lr: {{values: {[n / 1000 for n in range(1, 1001)]}}}\n"
            f"  model.dropout: {{values: {[n / 100 for n in range(90)]}}}\nskip: [{'{optim.lr: 0.5}, ' * 112}]\n"
        ),
        ["6: skip: 112 entries for 90000 combinations; list fewer values, or fewer entries"],
    ),
    (f"{ONE_ROW}data: [synthetic, nope]\n", [f"5: data: {NOTHING}"]),
    (f"{ONE_ROW}data: []\n", ["5: data: an empty list; name at least one data set, or remove it"]),
    (
        f"{ONE_ROW}data: [3]\n",
        [
            (
                "5: data.0: must name a data set, a recipe or a folder, or be a block, not 3; write for example "
                "{name: CamVid, recipe: camvid_lite0, data.root: PATH}"
            )
        ],
    ),
    (f"{ONE_ROW}data: [{{name: 3}}]\n", ["5: data.0: name must be text, not 3; put it in quotes"]),
    (
        f"{ONE_ROW}data: [{{recipe: nope}}]\n",
        ["5: data.recipe: no recipe 'nope'; available: small; looked in recipes and ."],
    ),
    (f"{ONE_ROW}data:\n  - {{data.crp: 3}}\n", ["6: data.crp: unknown key; did you mean 'crop'?"]),
    (
        f"{ONE_ROW}data: [synthetic, {{name: Synthetic, data.synthetic.seed: 1}}]\n",
        ["5: data: 'Synthetic' is named like 'synthetic' (s.yaml:5); remove one of the two, or give it another `name`"],
    ),
    (
        f"{ONE_ROW}data: [{{name: '!', data.crop: [32, 32]}}]\n",
        ["5: data: '!' has no letter or digit; add `name: NAME`"],
    ),
    (
        "method: ablation\nrows: {a: {}}\ndata: [synthetic]\n",
        [
            (
                "3: data: 'synthetic' needs a recipe; add `recipe: NAME` to it or to the file (available: small; looked in "
                "recipes and .)"
            )
        ],
    ),
    (
        f"{ONE_ROW}table: {{across_data: mean}}\n",
        ["5: table.across_data: needs `data:` with two data sets or more; remove it"],
    ),
    (
        f"{ON_DATA}table: {{across_data: data_sets}}\n",
        ["6: table.across_data: data_sets compares each row with the baseline; add `baseline: LABEL`, or write mean"],
    ),
    (
        f"{DRAWN}data: [{SCENES}]\n",
        [
            (
                "6: data: a search chooses its trials by their figures on one data set; name one with --recipe, and train its "
                "best rows on all of them in an ablation"
            )
        ],
    ),
    (
        f"{ON_DATA}baseline: a\nseeds: {{until: decided}}\n",
        [
            (
                "5: data: `until: decided` adds seeds by the differences on one data set; write a number of seeds, for "
                "example seeds: 5"
            )
        ],
    ),
    (
        f"{TWO}data: [{SCENES}]\ntable: {{layout: matrix}}\n",
        ["7: table.layout: a matrix has no place for several data sets; write layout: list or groups"],
    ),
    (
        f"{ONE_ROW}fixed: {{data.crop: [32, 32]}}\ndata: [{{name: a, data.crop: [32, 64]}}]\n",
        ["5: data.crop: has no effect, as every data set sets this key; remove one of the two"],
    ),
    (
        f"{HEAD}one_at_a_time: {{contrast.temperature: [0.1, 0.2]}}\ndata: [synthetic, {{recipe: other/warm.yaml}}]\n",
        [
            (
                "4: data: the rows are not those on 'synthetic' (temperature=0.1, temperature=0.2), as the recipes differ; "
                "list them under `rows`"
            )
        ],
    ),
    (
        f"{HEAD}rows:\n  a: {{data.synthetic.seed: 3}}\n  b: {{}}\ndata: [{SCENES}]\n",
        [
            (
                "6: data: row 'a' has the same trials on 'more scenes' and on 'Synthetic scenes'; remove one of the two, or what "
                "makes them equal in this row"
            )
        ],
    ),
    (
        f"{HEAD}rows:\n  a: {{data.synthetic.height: 100000}}\n",
        ["4: data.synthetic.height: must be at most 8192 pixels; got 100000"],
    ),
]
"""A search space, and its messages; one that starts with a line number is about that file."""

SET_TWICE = (
    "--set data.synthetic.seed=2: data.synthetic.seed: the data set 'more scenes' sets it (s.yaml:5); change it there"
)

OPTIONS = [
    ("data", "nope", f"data: {NOTHING}"),
    ("set", "data.root", "not of the form key=value; write for example --set schedule.steps=100"),
    ("set", "a.b=1", "a.b: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute"),
    ("set", "optim.lr=-1", "optim.lr: must be positive; got -1.0"),
    ("set", "optim.lr=@", f"not valid YAML: found character '@' that cannot start any token; {SYNTAX}"),
    ("seeds", "0", "seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds"),
    ("seeds", "a", "seeds: must be a number or comma-separated whole numbers, not 'a'; write for example 3"),
    ("seeds", "1,1", "seeds: seed 1 is given twice; remove one"),
    ("recipe", "nope", "recipe: no recipe 'nope'; available: small; looked in recipes and ."),
    ("recipe", "x/nope.yaml", "recipe: no recipe 'x/nope.yaml'; available: small; looked in recipes and ."),
    ("set", "optim.lr=1\0", "not text in this system's encoding; write plain characters"),
    (
        "name",
        "../mine",
        "cannot name a sweep; use at most 100 letters, digits and _ - . @ + = , and begin with a letter or digit",
    ),
]
"""An option of the command line with its value, and the message after them."""

OTHER_FILES = {
    "recipes/small.yaml": "data: {crop: [64, 64]}\nschedule.steps: 10\n",
    "aside/listed.yaml": "- data\n",
    "aside/stray.yaml": "# mine\nschedule: {stepz: 3}\n",
    "other/warm.yaml": "contrast.temperature: 0.2\n",
    "aside/latin.yaml": b"question: \xe9\n",
    "empty/note.txt": "no search space\n",
    "circle.yaml": "extends: s.yaml\n",
    "broken.yaml": "a: 1\na: 2\n",
    "shared_seeds.yaml": "seeds: 1\n",
    "shared.yaml": "seeds: 0\nrows:\n  a: {optim.lr: -1}\n  b: {optim: {lr: x}}\n",
}
"""Files beside the search space."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A current folder with `OTHER_FILES` in it."""
    monkeypatch.chdir(tmp_path)
    write_other_files(tmp_path)
    monkeypatch.setattr("orchestrator.spec.recipes.SHIPPED_RECIPES", Path("none"))  # only the test's own are listed
    monkeypatch.setattr("orchestrator.spec.extends.SHIPPED_SPACES", Path("none"))
    return tmp_path


def write_other_files(folder):
    for name, content in OTHER_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "aside/unreadable.yaml").symlink_to("/proc/self/mem")  # root cannot read it either


def messages(text, **options):
    """All messages of reading and planning."""
    Path("s.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        plan_sweep(read_spec(Path("s.yaml"), **options), run_dir=Path("runs"))
    return list(caught.value.messages)


def with_setting(setting):
    """A search space whose fifth line is a row with `setting`."""
    return f"{HEAD}rows:\n  good: {{}}\n  bad: {{{setting}}}\n"


def option(name, value):
    """`read_spec`'s argument for an option of the command line."""
    return {"settings": [value]} if name == "set" else {name: [value] if name == "data" else value}


def named(expected):
    """The message, with the search space's name where it starts with a line."""
    return f"s.yaml:{expected}" if expected[0].isdigit() else expected


@pytest.mark.parametrize(("setting", "expected"), SETTINGS)
def test_a_wrong_setting(setting, expected):
    assert messages(with_setting(setting)) == [f"s.yaml:5: {setting.partition(': ')[0]}: {expected}"]


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_a_wrong_file(text, expected, folder):
    found = [message.replace(f"{folder}/", "") for message in messages(text)]

    assert found == [named(message) for message in expected]


@pytest.mark.parametrize(("name", "value", "expected"), OPTIONS)
def test_a_wrong_option(name, value, expected):
    typed = value.replace("\0", "\\x00")

    assert messages(ONE_ROW, **option(name, value)) == [f"--{name} {typed}: {expected}"]


def message_of_a_missing_space():
    """Of a name that is neither here nor in the project."""
    with pytest.raises(SpecError) as caught:
        read_spec(Path("ablation_memry"))
    return str(caught.value)


def test_a_search_space_that_is_nowhere():
    shipped = PROJECT / "search_spaces"
    names = ", ".join(sorted(path.stem for path in shipped.glob("*.yaml")))
    assert message_of_a_missing_space() == (
        "ablation_memry: no such file; available: broken.yaml, circle.yaml, shared.yaml, shared_seeds.yaml; looked in ., "
        f"search_spaces and {shipped}, which has {names}"
    )


def test_options_that_contradict_each_other():
    assert messages(ONE_ROW, settings=["optim.lr=1", "optim.lr=2"]) == [
        "--set optim.lr=2: optim.lr: given twice (--set optim.lr=1); remove one"
    ]


def test_all_mistakes_come_at_once():
    text = f"{HEAD}rows:\n  a: {{foo: 1}}\n  b: {{optim.lr: x}}\nseeds: 0\nmetrics: 1\nfixed: {{bar: 2}}\n"

    assert messages(text, recipe="aside/stray.yaml", settings=["schedule.steps=many"]) == [
        "s.yaml:6: seeds: must be at least 1, not 0; write the number of repetitions, or a list of seeds",
        "s.yaml:7: metrics: unknown key; did you mean 'metric'?",
        "s.yaml:4: foo: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute",
        "s.yaml:5: optim.lr: must be a number, not 'x'; write for example 0.01",
        "s.yaml:8: bar: unknown key; choose data, model, contrast, loss, optim, schedule, evaluation, compute",
        "aside/stray.yaml:2: schedule.stepz: unknown key; did you mean 'steps'?",
        "--set schedule.steps=many: schedule.steps: must be a whole number, not 'many'; write for example 300",
    ]


def test_a_setting_of_the_command_line_that_a_data_set_has():
    assert messages(ON_DATA, settings=["data.synthetic.seed=2"]) == [SET_TWICE]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"{HEAD}rows: {{a: 3}}\nbaseline: a\ntable: {{rows: [a]}}\n", 1),
        (f"{HEAD}leave_one_out: {{a: {{foo: 1}}}}\nbaseline: w/o a\n", 1),
        (f"{HEAD}leave_one_out: [a]\nbaseline: full\n", 1),
        (f"{GRID}  optim.lr: 3\nbaseline: lr=0.1\n", 1),
        (f"{SEARCH}  optim.lr: {{min: a, max: 2}}\n", 1),
        (f"{SEARCH}  optim.lr: {{min: a}}\n", 1),
        ("method: random\nrecipe: small\ntrials: few\nparameters: 3\nwhen: {optim.lr: {model.dropout: [1]}}\n", 2),
        (f"{DRAWN}metric: [{{nam: a}}, {{nam: b}}]\n", 2),
        (f"{TWO}metric: {{nam: a}}\n", 1),
        (f"{TWO}skip: [{{foo: 1}}]\n", 1),
        (f"{TWO}zip: [[optim.lr, 3]]\n", 1),
        (f"{ONE_ROW}baseline: [a]\nseeds: {{until: decided}}\n", 1),
        ("method: ablation\nrecipe: [small]\nrows: {a: {}}\n", 1),
        (f"{ONE_ROW}resources: {{gpus: 4, ranks: 2, cpu: 1}}\n", 2),
        ("method: grd\nrecipe: small\nrows: {a: {foo: 1}}\nfixed: {bar: 1}\n", 3),
    ],
)
def test_a_mistake_causes_no_other_message(text, count):
    assert len(messages(text)) == count, messages(text)


ORCHESTRATOR = PROJECT / "orchestrator"
LANGUAGE = (*sorted((ORCHESTRATOR / "spec").glob("*.py")), ORCHESTRATOR / "planning" / "resolve.py")
"""Modules of the orchestrator that report mistakes in what a user wrote."""
REMEDY = "; "
"""Every message has what is wrong before it and what to do behind it."""


def patterns(module):
    """A regular expression for each string with a remedy in a module, with the line it stands in."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in documentation | parts:
            continue
        if isinstance(node, ast.JoinedStr):
            pieces = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            pieces = [node.value]
        else:
            continue
        if REMEDY in "".join(filter(None, pieces)):
            expression = "".join(".*" if piece is None else re.escape(piece) for piece in pieces)
            yield pytest.param(expression, id=f"{module.stem}:{node.lineno}")


@pytest.fixture(scope="module")
def all_messages(tmp_path_factory):
    """Every message of the tables, one a line."""
    folder = tmp_path_factory.mktemp("messages")
    write_other_files(folder)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("orchestrator.spec.recipes.SHIPPED_RECIPES", Path("none"))
        patch.setattr("orchestrator.spec.extends.SHIPPED_SPACES", Path("none"))
        for setting, _ in SETTINGS:
            found += messages(with_setting(setting))
        for text, _ in FILES:
            found += messages(text)
        for name, value, _ in OPTIONS:
            found += messages(ONE_ROW, **option(name, value))
        found += [*messages(ONE_ROW, settings=["optim.lr=1", "optim.lr=2"]), message_of_a_missing_space()]
        found += messages(ON_DATA, settings=["data.synthetic.seed=2"])
    return "\n".join(found)


@pytest.mark.parametrize("expression", [pattern for module in LANGUAGE for pattern in patterns(module)])
def test_no_message_is_missing_here(expression, all_messages):
    assert re.search(expression, all_messages), f"no case in the tables of this file provokes {expression!r}"


def test_every_message_says_where_and_what_to_do(all_messages):
    where = re.compile(r"^([\w./-]+\.yaml(:\d+)?|ablation_memry|--(set|data|seeds|recipe|name) .*?): ")
    what_to_do = re.compile(r"; |\?$|must (be|lie)|choose|there (is|are)|no such (split|folder)|needs? |write ")

    assert [line for line in all_messages.splitlines() if not where.match(line)] == []
    assert [line for line in all_messages.splitlines() if not what_to_do.search(line)] == []
