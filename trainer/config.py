"""What a trial computes (`TrainConfig`) and what does not change its result (`Runtime`).

Importing this file costs milliseconds: no torch, no third-party package. Every class is frozen and keyword-only.
A field marked `location()` says where bytes lie on this machine; a trial's identity holds the digest of those
bytes instead of the path. A field whose default is None counts in the identity only when it is set, so a knob
added later renames no trial.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

__all__ = [
    "BACKBONE_NAMES",
    "RESULT_VERSION",
    "AnchorConfig",
    "ComputeConfig",
    "ContrastConfig",
    "DataConfig",
    "EvaluationConfig",
    "LossConfig",
    "MemoryConfig",
    "MiningConfig",
    "ModelConfig",
    "OptimConfig",
    "Runtime",
    "ScheduleConfig",
    "SyntheticConfig",
    "TrainConfig",
    "effective_memory",
    "location",
    "location_keys",
    "optional",
    "setting",
]

RESULT_VERSION = 2
"""Raised by hand whenever the same `TrainConfig` would give other numbers; part of every trial's identity."""

BACKBONE_NAMES = ("resnet18", "resnet50", "resnet101", "hrnet_w18", "hrnet_w48", "tf_efficientnet_lite0")
"""Backbones tested here. Any other timm model with feature maps is reached as `timm/<name>`."""

MIN_CROP = 32


def location(default: str | None = None) -> Any:
    """A field that says where bytes lie; the identity of a trial holds their digest, not their path."""
    return field(default=default, metadata={"location": True})


def optional(implied: Any) -> Any:
    """A knob that may be left unset, which means `implied`; set to that value it is the same computation."""
    return field(default=None, metadata={"implied": implied})


def setting(block: Any, name: str) -> Any:
    """The value of a knob, or what it implies where it is not set."""
    value = getattr(block, name)
    return block.__dataclass_fields__[name].metadata.get("implied") if value is None else value


def unset_implied(block: Any) -> Any:
    """`block` with every knob that says what it implies anyway left unset."""
    knobs = [item for item in fields(block) if "implied" in item.metadata]
    idle = {item.name: None for item in knobs if getattr(block, item.name) == item.metadata["implied"]}
    return replace(block, **idle)


def require(condition: bool, key: str, message: str) -> None:
    """Raise ValueError `key: message` unless `condition` holds; the reader of YAML adds file and line."""
    if not condition:
        raise ValueError(f"{key}: {message}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticConfig:
    """The embedded street-scene generator; used when `data.name` is `synthetic`, ignored otherwise."""

    train_images: int = 96
    """Images in the train split."""
    val_images: int = 24
    """Images in the val split."""
    test_images: int = 48
    """Images in the test split."""
    height: int = 96
    """Height of an image, pixels."""
    width: int = 128
    """Width of an image, pixels."""
    seed: int = 0
    """Seed of the scenes; independent of the trial's seed, so that every trial sees the same data set."""

    def __post_init__(self) -> None:
        for name in ("train_images", "val_images", "test_images"):
            require(getattr(self, name) >= 1, f"data.synthetic.{name}", "must be at least 1")
        for name in ("height", "width"):
            require(getattr(self, name) >= MIN_CROP, f"data.synthetic.{name}", f"must be at least {MIN_CROP} pixels")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which images a trial reads and how it augments them."""

    name: Literal[
        "synthetic", "camvid", "cityscapes", "pascal_context", "coco_stuff_10k", "coco_stuff_164k", "folder"
    ] = "synthetic"
    """Data set: a key of `trainer.data.DATASETS`."""
    root: str | None = location()
    """Folder of the data set on this machine; not needed by `synthetic`."""
    train_split: str = "train"
    """Split the gradient sees."""
    val_split: str = "val"
    """Split of the learning curve (`val/...`)."""
    test_split: str = "test"
    """Split of the reported figures (`final/...`): the last checkpoint, evaluated once."""
    crop: tuple[int, int] = (96, 128)
    """Height and width of a training crop, pixels."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random resize before the crop, as a factor of the image size."""
    flip_probability: float = 0.5
    """Probability of a horizontal flip."""
    color_jitter: float = 0.25
    """Strength of brightness, contrast and saturation jitter (torchvision's factors); 0 switches it off."""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    def __post_init__(self) -> None:
        require(min(self.crop) >= MIN_CROP, "data.crop", f"both sides must be at least {MIN_CROP} pixels")
        require(0 < self.scale[0] <= self.scale[1], "data.scale", "must be [low, high] with 0 < low <= high")
        require(0 <= self.flip_probability <= 1, "data.flip_probability", "must lie between 0 and 1")
        require(0 <= self.color_jitter <= 1, "data.color_jitter", "must lie between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Backbone and segmentation head; the projection head belongs to `ContrastConfig`."""

    backbone: str = "resnet18"
    """One of `BACKBONE_NAMES`, or `timm/<name>` for any other timm model with feature maps."""
    weights: str = "none"
    """`none` (random), `imagenet` (packaged or fetched by timm), or the path of a .safetensors / .pth file."""
    output_stride: Literal[8, 16, 32] = 16
    """Stride of the deepest features of ResNets and EfficientNets; HRNets ignore it."""
    head: Literal["deeplabv3", "hrnet", "ocr"] = "deeplabv3"
    """Segmentation head: a key of `trainer.build.HEADS`."""
    head_channels: int = 256
    """Width of the head, channels."""
    dropout: float = 0.1
    """Dropout before the classifier, probability."""
    aux_weight: float = 0.4
    """Weight of the auxiliary cross-entropy of DeepLabV3 and OCR."""

    def __post_init__(self) -> None:
        known = self.backbone in BACKBONE_NAMES or (self.backbone.startswith("timm/") and len(self.backbone) > 5)
        choices = ", ".join(BACKBONE_NAMES)
        require(known, "model.backbone", f"unknown backbone {self.backbone!r}; choose {choices}, or timm/<name>")
        require(bool(self.weights), "model.weights", "must be none, imagenet or a path")
        require(self.head_channels >= 8, "model.head_channels", "must be at least 8")
        require(0 <= self.dropout < 1, "model.dropout", "must lie in [0, 1)")
        require(self.aux_weight >= 0, "model.aux_weight", "must not be negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorConfig:
    """Which pixels of a mini-batch are pulled and pushed (paper, section 3.3)."""

    kind: Literal["random", "hard"] = "hard"
    """`random`, or `hard`: half of a class's anchors are misclassified pixels, half random."""
    per_class: int = 50
    """Anchors per class and mini-batch."""
    min_pixels: int = 1
    """A class with fewer labelled pixels in the mini-batch (at embedding stride) gives no anchors."""

    def __post_init__(self) -> None:
        require(self.per_class >= 1, "contrast.anchors.per_class", "must be at least 1")
        require(self.min_pixels >= 1, "contrast.anchors.min_pixels", "must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class MiningConfig:
    """Which positives and negatives an anchor meets (paper, section 3.3)."""

    kind: Literal["random", "hardest", "semi_hard"] = "semi_hard"
    """`random`; `hardest`: the top K; `semi_hard`: K at random among the hardest `hard_fraction`."""
    positives: int = 1024
    """Positives per anchor, at most."""
    negatives: int = 2048
    """Negatives per anchor, at most."""
    hard_fraction: float = 0.1
    """Share of candidates kept by `semi_hard` before the random draw."""

    def __post_init__(self) -> None:
        require(self.positives >= 1, "contrast.mining.positives", "must be at least 1")
        require(self.negatives >= 1, "contrast.mining.negatives", "must be at least 1")
        require(0 < self.hard_fraction <= 1, "contrast.mining.hard_fraction", "must lie in (0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryConfig:
    """Embeddings of past images, kept per class in FIFO queues (paper, section 3.2)."""

    kind: Literal["none", "pixel", "region", "pixel_region"] = "pixel_region"
    """Which queues exist."""
    pixels_per_class: int = 1000
    """Capacity of a class's pixel queue, embeddings; the paper takes 10 x training images."""
    regions_per_class: int = 100
    """Capacity of a class's region queue, embeddings; the paper takes the number of training images."""
    pixels_per_image: int = 10
    """Random pixels of each class that an image pushes into the pixel queue."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """How embeddings are stored; not set: float32. They are compared in float32 whatever it is."""
    max_gigabytes: float | None = None
    """Highest size of the bank, GB (1e9 bytes), which `trainer.bank_size` checks; not set: 4."""

    def __post_init__(self) -> None:
        for name in ("pixels_per_class", "regions_per_class", "pixels_per_image"):
            require(getattr(self, name) >= 1, f"contrast.memory.{name}", "must be at least 1")
        cap = self.max_gigabytes
        require(cap is None or cap > 0, "contrast.memory.max_gigabytes", "must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastConfig:
    """The pixel-wise contrastive loss beside the cross-entropy (paper, equations 3 to 5)."""

    source: Literal["none", "intra_image", "inter_image"] = "inter_image"
    """Where positives and negatives come from: nowhere, the anchor's own image, or mini-batch plus memory."""
    weight: float = 0.1
    """Factor of the contrastive loss; independent of the temperature."""
    temperature: float = 0.1
    """Divides the cosine similarities."""
    warmup_fraction: float = 0.125
    """Share of the steps before the loss counts; the queues fill meanwhile."""
    embedding_dim: int = 256
    """Width of the projected, L2-normalised embedding."""
    projection_channels: int | None = None
    """Hidden width of the projection head; not set: the width of the features it embeds."""
    keys_per_class: int = 100
    """Pixels per class of the mini-batch (`inter_image`) or of each image (`intra_image`) that serve as keys."""
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    mining: MiningConfig = field(default_factory=MiningConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    as_released: Literal[True] | None = None
    """Switch on defects 1 to 5 of the released memory (`trainer.contrast.released` says what they do), all else being
    equal, to measure what they cost; not set: the paper's method. For `inter_image` with a bank."""

    def __post_init__(self) -> None:
        with_bank = self.source == "inter_image" and self.memory.kind != "none"
        require(
            not self.as_released or with_bank or self.source == "none",
            "contrast.as_released",
            "the defects are those of the bank; it needs contrast.source inter_image and a contrast.memory.kind",
        )
        require(self.weight >= 0, "contrast.weight", "must not be negative")
        require(self.temperature > 0, "contrast.temperature", "must be positive")
        require(0 <= self.warmup_fraction < 1, "contrast.warmup_fraction", "must lie in [0, 1)")
        require(self.embedding_dim >= 2, "contrast.embedding_dim", "must be at least 2")
        hidden = self.projection_channels
        require(hidden is None or hidden >= 1, "contrast.projection_channels", "must be at least 1")
        require(self.keys_per_class >= 1, "contrast.keys_per_class", "must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """The supervised loss of main and auxiliary logits; the contrastive one comes on top of it."""

    kind: Literal["ce", "ohem", "lovasz", "ce_lovasz"] | None = optional("ce")
    """A key of `trainer.losses.LOSSES`: cross-entropy, the same over hard pixels only, Lovász-softmax, or
    cross-entropy plus Lovász-softmax."""
    class_weights: tuple[float, ...] | None = None
    """Weight of each class in the cross-entropy, one number per class; not set: all equal."""
    ohem_threshold: float | None = optional(0.7)
    """`ohem` keeps pixels whose true class has a probability below this ..."""
    ohem_min_kept: int | None = None
    """... and at least so many pixels per image, the hardest; not set: one sixteenth of the crop."""
    lovasz_weight: float | None = optional(1.0)
    """Factor of the Lovász part of `ce_lovasz`."""

    def __post_init__(self) -> None:
        weights = self.class_weights
        legal = weights is None or (len(weights) > 0 and min(weights) >= 0 and max(weights) > 0)
        require(legal, "loss.class_weights", "must not be negative, and not all zero")
        require(0 < setting(self, "ohem_threshold") <= 1, "loss.ohem_threshold", "must lie in (0, 1]")
        kept = self.ohem_min_kept
        require(kept is None or kept >= 1, "loss.ohem_min_kept", "must be at least 1")
        require(setting(self, "lovasz_weight") > 0, "loss.lovasz_weight", "must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """Stochastic gradient descent with a rate that decays (`ScheduleConfig.policy`)."""

    lr: float = 0.01
    """Learning rate at step 0."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    poly_power: float = 0.9
    """The rate at step s of S is lr * (1 - s / S) ** poly_power; read by the policy `poly`."""
    head_lr_multiplier: float = 1.0
    """Factor on the learning rate of everything but the backbone."""
    decay_norms_and_biases: bool | None = optional(True)
    """Whether the weight decay also pulls at the parameters of norms and at biases."""
    clip_norm: float | None = None
    """Gradients are scaled down to this Euclidean norm over all parameters; not set: never."""
    ema_decay: float | None = None
    """The weights that are evaluated are a moving average, decaying by this factor per step; not set: the last ones."""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optim.lr", "must be positive")
        require(0 <= self.momentum < 1, "optim.momentum", "must lie in [0, 1)")
        require(self.weight_decay >= 0, "optim.weight_decay", "must not be negative")
        require(self.poly_power >= 0, "optim.poly_power", "must not be negative")
        require(self.head_lr_multiplier > 0, "optim.head_lr_multiplier", "must be positive")
        require(self.clip_norm is None or self.clip_norm > 0, "optim.clip_norm", "must be positive")
        require(self.ema_decay is None or 0 < self.ema_decay < 1, "optim.ema_decay", "must lie between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """How long and in what portions."""

    steps: int = 300
    """Optimiser steps."""
    batch_size: int = 8
    """Images per step, over all processes."""
    eval_every_steps: int = 100
    """Steps between evaluations on the val split; the last step is always evaluated."""
    policy: Literal["poly", "cosine"] | None = optional("poly")
    """How the rate falls to zero: as a power of the share of steps left, or as half a cosine."""
    rate_warmup_steps: int | None = optional(0)
    """Steps over which the rate also grows linearly from nearly zero."""
    portions: int | None = optional(1)
    """Parts a batch is computed in, one after the other, to save memory: gradient accumulation."""

    def __post_init__(self) -> None:
        require(self.steps >= 1, "schedule.steps", "must be at least 1")
        require(self.batch_size >= 2, "schedule.batch_size", "must be at least 2 (batch normalisation)")
        require(self.eval_every_steps >= 1, "schedule.eval_every_steps", "must be at least 1")
        require(setting(self, "rate_warmup_steps") >= 0, "schedule.rate_warmup_steps", "must not be negative")
        portions = setting(self, "portions")
        require(portions >= 1, "schedule.portions", "must be at least 1")
        require(
            portions == 1 or (self.batch_size % portions == 0 and self.batch_size // portions >= 2),
            "schedule.portions",
            f"must split a batch of {self.batch_size} into equal parts of at least 2 images (batch normalisation)",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How the reported figures (`final/...`) are measured; the learning curve (`val/...`) is whole-image, one scale."""

    window: tuple[int, int] | None = None
    """Height and width of a sliding window, pixels of the (resized) image; not set: the whole image at once."""
    stride: tuple[int, int] | None = None
    """Steps of the window, pixels; not set: two thirds of it. Logits are averaged where windows overlap."""
    scales: tuple[float, ...] | None = optional((1.0,))
    """Factors by which the image is resized; the logits of all are averaged at the image's own size."""
    flip: bool | None = optional(False)
    """Whether each view is also seen mirrored."""

    def __post_init__(self) -> None:
        window, stride = self.window, self.stride
        require(window is None or min(window) >= MIN_CROP, "evaluation.window", f"must be at least {MIN_CROP} pixels")
        inside = stride is None or window is None or all(0 < s <= w for s, w in zip(stride, window, strict=True))
        require(inside, "evaluation.stride", "must be positive and at most the window, else pixels are missed")
        scales = setting(self, "scales")
        require(len(scales) > 0 and min(scales) > 0, "evaluation.scales", "must be a list of positive numbers")


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeConfig:
    """The arithmetic of training. All of it moves the last bits at least, so it is part of a trial's identity.

    Evaluation is in float32 whatever is chosen here. Only the network runs at reduced precision: losses, the
    contrast and the bank's diagnostics are in float32.
    """

    precision: Literal["float32", "bfloat16", "float16"] | None = optional("float32")
    """Of the network's forward and backward pass (autocast); `float16` scales the loss and needs CUDA."""
    compile: bool | None = optional(False)
    """Whether the training forward pass goes through torch.compile: its fused kernels round differently."""
    deterministic: bool | None = optional(False)
    """Whether only deterministic algorithms are used: on CUDA slower, and bit-equal from run to run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything that decides what a trial computes. Two equal normalised configs are the same experiment."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    seed: int = 0
    """Seed of initialisation, data order, augmentation and sampling; each has a stream of its own."""

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", "must not be negative")
        require(
            self.data.name == "synthetic" or self.data.root is not None,
            "data.root",
            f"the data set {self.data.name!r} needs its folder; add `data.root: PATH` or `--set data.root=PATH`",
        )
        if self.model.backbone.startswith("hrnet"):
            require(
                all(side % 32 == 0 for side in self.data.crop),
                "data.crop",
                f"an HRNet needs sides that are multiples of 32, not {list(self.data.crop)}",
            )

    def normalised(self) -> TrainConfig:
        """The same computation with every knob that has no effect set back to its default.

        A baseline without contrast is one trial, whatever temperature a grid would have given it (design.md,
        decision 5). The bank serves `inter_image` only: `intra_image` takes keys from the anchor's own image.
        """
        data, contrast = self.data, self.contrast
        if data.name != "synthetic":
            data = replace(data, synthetic=SyntheticConfig())
        else:
            data = replace(data, root=None)
        if contrast.source == "none" or contrast.weight == 0:
            contrast = ContrastConfig(source="none")
        else:
            contrast = replace(contrast, mining=effective_mining(contrast.mining), memory=effective_memory(contrast))
        if contrast.source == "none":
            contrast = replace(contrast, memory=MemoryConfig(kind="none"))
        aux_weight = 0.0 if self.model.head == "hrnet" else self.model.aux_weight
        schedule, optim = unset_implied(self.schedule), unset_implied(self.optim)
        if schedule.policy == "cosine":
            optim = replace(optim, poly_power=OptimConfig().poly_power)
        return replace(
            self,
            data=data,
            contrast=contrast,
            model=replace(self.model, aux_weight=aux_weight),
            loss=effective_loss(self.loss),
            optim=optim,
            schedule=schedule,
            evaluation=effective_evaluation(self.evaluation),
            compute=unset_implied(self.compute),
        )


def effective_loss(loss: LossConfig) -> LossConfig:
    """`loss` without the knobs that its kind does not read, and without weights that are all 1."""
    idle: dict[str, Any] = {}
    if loss.kind != "ohem":
        idle |= {"ohem_threshold": None, "ohem_min_kept": None}
    if loss.kind != "ce_lovasz":
        idle |= {"lovasz_weight": None}
    if loss.kind == "lovasz" or (loss.class_weights is not None and set(loss.class_weights) == {1.0}):
        idle |= {"class_weights": None}
    effective: LossConfig = unset_implied(replace(loss, **idle))
    return effective


def effective_evaluation(evaluation: EvaluationConfig) -> EvaluationConfig:
    """`evaluation` without the stride of a window that is not there."""
    effective: EvaluationConfig = unset_implied(evaluation if evaluation.window else replace(evaluation, stride=None))
    return effective


def effective_mining(mining: MiningConfig) -> MiningConfig:
    """`mining` with `hard_fraction` at its default where the miner does not read it."""
    return mining if mining.kind == "semi_hard" else replace(mining, hard_fraction=MiningConfig().hard_fraction)


def effective_memory(contrast: ContrastConfig) -> MemoryConfig:
    """The bank that `contrast` really uses, its unused knobs at their defaults."""
    memory, default = contrast.memory, MemoryConfig()
    if memory.dtype == "float32":
        memory = replace(memory, dtype=None)
    if contrast.source != "inter_image" or memory.kind == "none":
        return MemoryConfig(kind="none")
    if memory.kind == "pixel":
        return replace(memory, regions_per_class=default.regions_per_class)
    if memory.kind == "region":
        return replace(memory, pixels_per_class=default.pixels_per_class, pixels_per_image=default.pixels_per_image)
    return memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """How a trial is run: nothing here may change its result, so nothing here is part of its identity."""

    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu` or `cuda`."""
    threads: int = 1
    """CPU threads of torch in the training process."""
    loader_workers: int = 0
    """Extra processes that read and augment images; 0 does it in the training process."""
    log_every_steps: int = 10
    """Steps between `train/...` points."""
    checkpoint_every_steps: int = 50
    """Steps between checkpoints; an interrupted trial goes on from the last one."""

    def __post_init__(self) -> None:
        require(self.threads >= 1, "runtime.threads", "must be at least 1")
        require(self.loader_workers >= 0, "runtime.loader_workers", "must not be negative")
        require(self.log_every_steps >= 1, "runtime.log_every_steps", "must be at least 1")
        require(self.checkpoint_every_steps >= 1, "runtime.checkpoint_every_steps", "must be at least 1")


def location_keys(config_type: type = TrainConfig, prefix: str = "") -> tuple[str, ...]:
    """Dotted keys of all fields marked `location()` below `config_type`, for example `("data.root",)`."""
    keys: list[str] = []
    for item in fields(config_type):
        if item.metadata.get("location"):
            keys.append(prefix + item.name)
        elif item.default_factory is not MISSING:
            keys.extend(location_keys(type(item.default_factory()), f"{prefix}{item.name}."))
    return tuple(keys)
