"""SweepRun: the parent run of a sweep in MLflow, with its question, plan, counters, tables and figures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.git_state import code_state
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.environment import installed_packages, machines
from orchestrator.tracking.mlflow_limits import LONGEST_NOTE, fit_name
from orchestrator.tracking.mlflow_store import RunFacts, Server
from orchestrator.tracking.row_figures import row_means
from orchestrator.tracking.saved_view import SavedView, runs_of_sweep, view_key
from orchestrator.tracking.trial_run import Reading, same, storable
from orchestrator.tracking.uri import runs_page
from orchestrator.tracking.varied_settings import as_text, parameter_names

__all__ = ["SweepRun", "counts_of", "for_page", "note_of"]

NOTE = "mlflow.note.content"
UNDERLINED = re.compile(r"<u>(.*?)</u>")
REFRESH_SECONDS = 10.0
"""Shortest time between two updates of the counters and the provisional table."""


class SweepRun:
    """One parent run on one server. Every method raises TrackingError."""

    def __init__(
        self,
        server: Server,
        sweep: SweepRecord,
        run: RunFacts | None,
        live_table: Path | None,
        clock: Callable[[], float],
    ) -> None:
        """Opens `run` if MLflow has one, else creates one."""
        if run is None:
            tags = {
                "role": "sweep",
                "sweep": sweep.name,
                "method": sweep.method,
                "mlflow.source.name": "orchestrator.sweep",
            }
            now = clock()
            run_id = server.create(sweep.name, tags, now)
            run = RunFacts(run_id=run_id, status="RUNNING", tags=tags, started_at=now)
        elif run.status != "RUNNING":
            server.reopen(run.run_id)
        self.server = server
        self.sweep = sweep
        self.run_id = run.run_id
        self.began = run.started_at
        self.live_table = live_table
        self.clock = clock
        self.documented: SweepRecord | None = None
        self.refreshed_at = float("-inf")
        self.counted = dict(run.metrics)
        """Counters and figures of rows as MLflow has them, by its names."""
        self.has_view = False
        """Whether MLflow has the saved view of the sweep."""
        self.note = run.tags.get(NOTE, "")
        self.describe(run)

    def describe(self, run: RunFacts) -> None:
        """Log what `run` lacks of the parameters, question and code version, then the documents.

        The parameters are what all trials have in common: those of a child run are what its row sets.
        """
        sweep = self.sweep
        params = {key: getattr(sweep, key) for key in ("method", "recipe", "metric", "goal", "baseline")}
        params["data_sets"] = ", ".join(item.name for item in sweep.data_sets)
        varied = parameter_names(sweep)
        params |= {key: as_text(value) for key, value in sweep.settings.items() if key not in varied}
        tags = {"question": sweep.question, "mlflow.source.git.commit": code_state().commit}
        tags = {key: value for key, value in tags.items() if value and run.tags.get(key) != value}
        if not self.note:
            tags[NOTE] = self.note = note_of(sweep, "")
        missing = {key: value for key, value in params.items() if value and fit_name(key) not in run.params}
        self.server.log(self.run_id, tags=tags, params=missing)
        self.write_documents()

    def write_documents(self) -> None:
        """Write the plan and its sources as artifacts, and the saved view; called again when the plan has grown."""
        sweep = self.sweep
        view = SavedView.of(sweep, self.began)
        value = view.value(self.server.experiment_tags)
        self.has_view = bool(value) and self.server.tag_experiment(view.tag, value)
        given = sweep.to_json()
        keys = ("name", "question", "method", "recipe", "metric", "goal", "baseline", "seeds", "protocol", "search")
        resolved = {key: given[key] for key in keys} | {"settings": given["settings"], "rows": given["rows"]}
        recipe = "".join(f"{key}: {as_text(value)}\n" for key, value in sweep.settings.items())
        documents = {
            "spec.yaml": sweep.spec,
            "recipe.yaml": recipe,
            "resolved.json": as_json(resolved),
            "sweep.json": as_json(given),
            "environment/requirements.txt": installed_packages(),
            "environment/machines.json": as_json(machines(())),
        }
        for name, text in documents.items():
            self.server.write_text(self.run_id, name, text)
        self.documented = sweep

    @property
    def page(self) -> str:
        """Path of MLflow's page with the runs of the sweep."""
        name, experiment = self.sweep.name, self.server.experiment
        if self.has_view:
            return runs_page(experiment, viewStateShareKey=view_key(name))
        return runs_page(experiment, searchFilter=runs_of_sweep(name))

    def refresh(self, results: SweepResults, running: Collection[str]) -> None:
        """Update counters and provisional table, unless that was done less than `REFRESH_SECONDS` ago."""
        now = self.clock()
        if now - self.refreshed_at < REFRESH_SECONDS:
            return
        self.refreshed_at = now
        self.count(results, running)
        if self.live_table is not None and self.live_table.is_file():
            done, planned = counts_of(results, ())["trials/done"], len(results.sweep.trial_ids)
            state = f"*Provisional: {done} of {planned} trials are done.*\n\n"
            self.write_note(state + for_page(self.live_table.read_text(encoding="utf-8")))

    def count(self, results: SweepResults, running: Collection[str]) -> None:
        """Log the counters and the figures of rows that have changed; their step is the seconds since the run began."""
        self.sweep = results.sweep
        figures = {**counts_of(results, running), **row_means(results)}
        values = {key: storable(value) for key, value in figures.items()}
        known = {key: self.counted.get(fit_name(key)) for key in values}
        changed = {key: value for key, value in values.items() if (held := known[key]) is None or not same(held, value)}
        now = self.clock()
        step = max(0, int(now - self.began))
        self.server.log(self.run_id, [Reading(key, value, step, now) for key, value in changed.items()])
        self.counted.update({fit_name(key): value for key, value in changed.items()})

    def write_note(self, table: str) -> None:
        """Write question and table to the run's description."""
        note = note_of(self.sweep, table)
        if note != self.note:
            self.server.log(self.run_id, tags={NOTE: note})
            self.note = note

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], status: str) -> None:
        """Attach the final tables and figures and the machines used, then close the run."""
        if self.documented is not self.sweep:
            self.write_documents()
        for path in artifacts.values():
            if not path.is_dir():  # the figures' folder has its own place
                self.server.write_file(self.run_id, path, "tables")
        for folder in {path.parent / "figures" for path in artifacts.values()}:
            for path in sorted(folder.glob("[!.]*")):  # without the index of what is drawn
                self.server.write_file(self.run_id, path, "figures")
        if "markdown" in artifacts:
            self.write_note(for_page(artifacts["markdown"].read_text(encoding="utf-8")))
        self.server.write_text(self.run_id, "environment/machines.json", as_json(machines(outcomes.values())))
        self.server.end(self.run_id, status)


def counts_of(results: SweepResults, running: Collection[str]) -> dict[str, int]:
    """How many trials are planned, done, failed, stopped by a scheduler, running, and none of these."""
    planned = results.sweep.trial_ids
    busy = {trial_id for trial_id in planned if trial_id in running}
    states = [results.state_of(trial_id) for trial_id in planned if trial_id not in busy]
    done, stopped = states.count(State.DONE), states.count(State.STOPPED)
    missing = states.count(None) + states.count(State.CANCELLED)
    return {
        "trials/planned": len(planned),
        "trials/done": done,
        "trials/failed": len(states) - done - stopped - missing,
        "trials/stopped": stopped,
        "trials/running": len(busy),
        "trials/missing": missing,
    }


def for_page(markdown: str) -> str:
    """A table for MLflow's page: above its caption, because the page folds long text, and without underlines."""
    paragraphs = sorted(markdown.strip().split("\n\n"), key=lambda text: not text.startswith("|"))
    return UNDERLINED.sub(r"*\1*", "\n\n".join(paragraphs).replace("<u>underlined</u>", "*italic*"))


def note_of(sweep: SweepRecord, table: str) -> str:
    """The question and the table; a long table is cut at a line that fits MLflow's limit."""
    note = "\n\n".join(part for part in (sweep.question, table) if part) or sweep.name
    if len(note) <= LONGEST_NOTE:
        return note
    rest = "\n\n… (the artifact tables/table.md has all of it)"
    kept = note[: LONGEST_NOTE - len(rest)]
    return kept[: kept.rfind("\n")] + rest


def as_json(values: Mapping[str, Any]) -> str:
    """Indented JSON, for people."""
    return json.dumps(values, indent=1, ensure_ascii=False, default=list) + "\n"
