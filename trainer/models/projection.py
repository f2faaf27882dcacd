"""The projection to the contrastive embedding.   Axes: B batch, E tap width, D embedding width."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.models.heads.base import conv_norm_relu

__all__ = ["Projection"]


class Projection(nn.Module):
    """1x1 convolution, batch normalisation, ReLU, 1x1 convolution, L2 norm (paper, section 3.3); training only."""

    def __init__(self, inputs: int, embedding_dim: int, hidden: int | None = None) -> None:
        """`hidden` None: the width of `inputs`."""
        super().__init__()
        width = inputs if hidden is None else hidden
        self.hidden = conv_norm_relu(inputs, width)
        self.output = nn.Conv2d(width, embedding_dim, kernel_size=1)

    def forward(self, tap_BEhw: Tensor) -> Tensor:
        """Unit vectors (B, D, h, w), float32 for any input precision."""
        embedding_BDhw: Tensor = self.output(self.hidden(tap_BEhw))
        return F.normalize(embedding_BDhw.float(), dim=1)
