"""A classifier of handwritten digits as a workload: a configuration, its metrics, and how it is trained."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.workload import Inputs, Metric, TrialResult


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 0
    width: int = 32
    """Hidden units."""
    lr: float = 0.5
    """Learning rate."""
    momentum: float = 0.0
    steps: int = 300
    """Optimiser steps of 64 images."""


class Digits:
    config_type = Config
    result_version = 1
    metrics = (
        Metric(name="final/accuracy", title="Accuracy", unit="%", direction="up", decimals=2, ranked=True),
        Metric(name="val/accuracy", title="Val accuracy", unit="%", direction="up", decimals=2),
    )

    def check(self, config) -> None:
        if config.width < 1:
            raise ValueError("width: must be at least 1")

    def inputs(self, config, remember):
        return Inputs()  # the data set is part of scikit-learn; one in a file would have a digest here

    def describe(self, rows, seeds) -> str:
        return f"Handwritten digits of scikit-learn, two-layer perceptron, {rows[0][0].steps} steps, {seeds}"

    def train(self, config, runtime, workdir: Path, progress):
        import torch
        from sklearn.datasets import load_digits

        image, label = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
        order = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))
        train, val, test = order.split([997, 300, 500])
        image = image.float() / 16
        torch.manual_seed(config.seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(64, config.width), torch.nn.ReLU(), torch.nn.Linear(config.width, 10)
        )
        optimiser = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)
        first, checkpoint = 0, workdir / "last.pt"
        if checkpoint.exists():  # an earlier attempt was ended: resume
            first, weights, state = torch.load(checkpoint)
            model.load_state_dict(weights)
            optimiser.load_state_dict(state)

        def accuracy(split):
            with torch.no_grad():
                return float((model(image[split]).argmax(dim=1) == label[split]).float().mean())

        for step in range(first + 1, config.steps + 1):
            draw = torch.Generator().manual_seed(config.seed * 1_000_000 + step)
            batch = train[torch.randperm(len(train), generator=draw)[:64]]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(image[batch]), label[batch]).backward()
            optimiser.step()
            if step % 50 == 0:
                torch.save((step, model.state_dict(), optimiser.state_dict()), workdir / "last.pt.partial")
                (workdir / "last.pt.partial").replace(checkpoint)
                progress(step, {"val/accuracy": accuracy(val)})
        return TrialResult(metrics={"final/accuracy": accuracy(test)})


WORKLOAD = Digits()
