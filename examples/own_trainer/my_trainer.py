"""A classifier of handwritten digits as a workload: a configuration, its metrics, and how it is trained."""

from dataclasses import dataclass

from orchestrator.workload import Metric, TrialResult, Workload


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 0
    width: int = 32
    """Hidden units."""
    lr: float = 0.5
    steps: int = 300  # of 64 images each


class Digits(Workload):
    """Handwritten digits of scikit-learn, two-layer perceptron."""

    config_type = Config
    result_version = 1
    metrics = (
        Metric(name="final/accuracy", title="Accuracy", unit="%", direction="up", decimals=2, ranked=True),
        Metric(name="val/accuracy", title="Val accuracy", unit="%", direction="up", decimals=2),
    )

    def train(self, config, runtime, workdir, progress):
        import torch  # not when the module is imported: planning needs none of it
        from sklearn.datasets import load_digits

        image, label = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
        image = image.float() / 16
        order = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))
        train, val, test = order.split([997, 300, 500])
        torch.manual_seed(config.seed)
        hidden, output = torch.nn.Linear(64, config.width), torch.nn.Linear(config.width, 10)
        model = torch.nn.Sequential(hidden, torch.nn.ReLU(), output)
        optimiser = torch.optim.SGD(model.parameters(), lr=config.lr)
        first, checkpoint = 0, workdir / "last.pt"
        if checkpoint.exists():  # an earlier attempt was ended: resume
            first, weights = torch.load(checkpoint)
            model.load_state_dict(weights)

        def accuracy(split):
            return float((model(image[split]).argmax(dim=1) == label[split]).float().mean())

        for step in range(first + 1, config.steps + 1):
            draw = torch.Generator().manual_seed(config.seed * 1_000_000 + step)
            batch = train[torch.randperm(len(train), generator=draw)[:64]]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(image[batch]), label[batch]).backward()
            optimiser.step()
            if step % 50 == 0:
                torch.save((step, model.state_dict()), workdir / "last.pt.partial")
                (workdir / "last.pt.partial").replace(checkpoint)
                progress(step, {"val/accuracy": accuracy(val)})
        return TrialResult(metrics={"final/accuracy": accuracy(test)})


WORKLOAD = Digits()
