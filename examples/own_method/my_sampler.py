"""An anchor sampler of one's own: half of the anchors lie near the border of their class."""

from dataclasses import dataclass

import torch.nn.functional as F

from trainer.contrast.anchors import AnchorContext
from trainer.contrast.groups import Slots, sample_groups
from trainer.plugins import Entry


@dataclass(frozen=True, kw_only=True)
class BoundaryOptions:
    """Options of the sampler `boundary`."""

    width: int = 2
    """Distance to a pixel of another class, in pixels of the embedding map, up to which a pixel is near the border."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width: must be at least 1")


def boundary_anchors(context: AnchorContext, *, options: BoundaryOptions) -> Slots:
    """Pixels near a border first, then random other pixels of the class."""
    label = context.label_Nhw.float()[:, None]
    size = 2 * options.width + 1
    highest = F.max_pool2d(label, size, stride=1, padding=options.width)
    lowest = -F.max_pool2d(-label, size, stride=1, padding=options.width)
    near = (highest != lowest).flatten()
    half = (context.per_class + 1) // 2
    first = sample_groups(
        context.label_P.where(near, context.classes), context.classes, half, generator=context.generator
    )
    taken = near.new_zeros(len(near), dtype=context.label_P.dtype)
    taken = taken.index_add(0, first.index_Gk.flatten(), first.valid_Gk.flatten().to(taken.dtype)) > 0
    return sample_groups(
        context.label_P, context.classes, context.per_class, generator=context.generator, first_P=taken
    )


ANCHOR_SAMPLERS = {"boundary": Entry(code=boundary_anchors, options=BoundaryOptions)}
