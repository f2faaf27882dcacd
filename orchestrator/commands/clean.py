"""Delete what a run directory no longer needs: unreferenced trials and unneeded checkpoints."""

from __future__ import annotations

from orchestrator.store.cleanup import unneeded_files, unreferenced_trials
from orchestrator.store.record_store import RecordStore

__all__ = ["clean"]


def clean(store: RecordStore, keep_checkpoints: str, *, delete: bool) -> list[str]:
    """Lines for the terminal: each trial that no sweep refers to and each unneeded file, with their sizes.

    `keep_checkpoints` is `all`, `last` or `best`. `delete` deletes them. Raises StoreError when another driver holds
    the run directory.
    """
    trials = unreferenced_trials(store)
    unreferenced_ids = {item.trial_id for item in trials}
    kept = [name for name in store.files.names("trials") if name not in unreferenced_ids]
    found = [*trials, *unneeded_files(store, kept, keep_checkpoints)]
    lines = [f"{item.key}  {item.size / 1e6:.1f} MB" for item in found]
    total = f"unreferenced trials: {len(trials)}, unneeded files: {len(found) - len(trials)}"
    total += f", together {sum(item.size for item in found) / 1e6:.1f} MB"
    if not delete or not found:
        return [*lines, f"{total}; --yes deletes them" if found else total]
    with store.lock():
        deleted = [*store.clean(unreferenced_ids), *store.prune(kept, keep_checkpoints)]
    return [*lines, f"deleted {len(deleted)} of {len(found)}, {sum(item.size for item in deleted) / 1e6:.1f} MB"]
