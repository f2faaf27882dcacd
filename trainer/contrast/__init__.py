"""Pixel-wise contrast: anchors, keys, mining, memory and loss (paper, section 3).

Imports torch, and of the trainer only `config`, `distributed`, `bank_size` and `block_size`.
"""

from __future__ import annotations

from trainer.contrast.anchors import ANCHOR_SAMPLERS
from trainer.contrast.memory import MEMORIES
from trainer.contrast.mining import MINERS
from trainer.contrast.module import ContrastOutput, PixelContrast
from trainer.contrast.released import ReleasedContrast

__all__ = ["ANCHOR_SAMPLERS", "MEMORIES", "MINERS", "ContrastOutput", "PixelContrast", "ReleasedContrast"]
