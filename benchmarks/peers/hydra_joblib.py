"""Hydra: a multirun with its joblib launcher."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore

from benchmarks.peers.work import SLOTS, TRIALS, train, unread


@dataclass
class Config:
    """The configuration of a trial."""

    trial: int = 0


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_name="config")
def main(config: Config) -> float:
    """One trial."""
    return train(config.trial, unread)


if __name__ == "__main__":
    sys.argv += ["--multirun", f"trial=range(0,{TRIALS})", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={SLOTS}"]
    main()
