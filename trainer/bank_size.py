"""The size of a memory bank and its limit; needs no torch, because planning uses it."""

from __future__ import annotations

from trainer.config import MemoryConfig

__all__ = ["DEFAULT_MAX_GIGABYTES", "bank_gigabytes", "require_bank_fits", "rows_per_class"]

DEFAULT_MAX_GIGABYTES = 4.0
"""Limit if `contrast.memory.max_gigabytes` is not set. The paper's capacities (10 N pixel and N region embeddings per
class for N training images, 256-d, float32) need 0.64 GB for Cityscapes and 17.3 GB for COCO-Stuff-10K."""

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def rows_per_class(memory: MemoryConfig) -> int:
    """Capacity of the queues of `memory`, embeddings per class."""
    pixels = memory.pixels_per_class if memory.kind in ("pixel", "pixel_region") else 0
    regions = memory.regions_per_class if memory.kind in ("region", "pixel_region") else 0
    return pixels + regions


def bank_gigabytes(memory: MemoryConfig, classes: int, width: int) -> float:
    """Size of the embeddings in GB (1e9 bytes): classes x rows per class x width x bytes per value."""
    return classes * rows_per_class(memory) * width * BYTES[memory.dtype or "float32"] / 1e9


def require_bank_fits(memory: MemoryConfig, classes: int, width: int) -> None:
    """Raise ValueError with the arithmetic and the remedies if a bank exceeds its limit.

    Pass the bank that is actually used (`trainer.config.effective_memory`) and `contrast.embedding_dim` as `width`.
    """
    cap = DEFAULT_MAX_GIGABYTES if memory.max_gigabytes is None else memory.max_gigabytes
    size = bank_gigabytes(memory, classes, width)
    if size > cap:
        dtype = memory.dtype or "float32"
        half = "" if BYTES[dtype] == 2 else ", contrast.memory.dtype: float16 halves it"
        raise ValueError(
            f"contrast.memory: {classes} classes x {rows_per_class(memory)} rows x {width} wide x {BYTES[dtype]} bytes "
            f"({dtype}) = {size:.3g} GB > {cap:g} GB; lower pixels_per_class{half}, or raise "
            "contrast.memory.max_gigabytes"
        )
