"""Alignment and uniformity of embeddings (Wang and Isola, ICML 2020); a contrastive loss should lower both.

Axes: C classes, K rows per class, D embedding width, N sampled rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["alignment_and_uniformity", "sampled_rows"]

ROWS = 1024
"""Maximum number of sampled rows; their similarities take a few milliseconds on a CPU."""


def sampled_rows(classes: int) -> int:
    """Maximum number of sampled rows of a class."""
    return max(2, ROWS // classes)


def alignment_and_uniformity(embedding_CKD: Tensor, valid_CK: Tensor) -> tuple[Tensor, Tensor]:
    """Alignment and uniformity of unit vectors, 0-d and without gradient; no host sync.

    Alignment is the mean squared distance between two rows of one class, 0..4. Uniformity is the logarithm of the mean
    of exp(-2 * squared distance) over all pairs of rows, -8..0: 0 if all embeddings are equal, about -4 if they are
    uniform on the sphere (exactly -4 in high dimension). Both are NaN without a pair. Only the first rows of each class
    are used, so they should be in random order.
    """
    classes = len(valid_CK)
    rows = min(valid_CK.shape[1], sampled_rows(classes))
    row_ND = embedding_CKD[:, :rows].detach().flatten(0, 1).float()
    valid_N = valid_CK[:, :rows].flatten()
    class_N = torch.arange(classes, device=valid_N.device).repeat_interleave(rows)
    distance_NN = (2 - 2 * row_ND @ row_ND.T).clamp_(min=0)
    pair_NN = valid_N[:, None] & valid_N
    pair_NN.fill_diagonal_(False)
    alike_NN = pair_NN & (class_N[:, None] == class_N)
    alignment = (distance_NN * alike_NN).sum() / alike_NN.sum()
    potential = ((-2 * distance_NN).exp() * pair_NN).sum() / pair_NN.sum()
    return alignment, potential.clamp(min=1e-30).log()
