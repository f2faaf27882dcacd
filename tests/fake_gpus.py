"""GPUs that exist only in a test: several devices, whose memory processes take and give back through `torch.cuda`.

`FakeGpus.install` replaces the functions of `torch.cuda` for the process that is called `here`; `elsewhere` takes
memory for other processes. As in torch, a process opens a context on a device at its first use, its allocator keeps
what is freed until `empty_cache`, and a device that is full or a fraction that is used up raises an OutOfMemoryError.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
import torch

GB = 10**9
CONTEXT = GB // 2


@dataclass
class Held:
    """What one process holds on one device, in bytes."""

    context: int = 0
    allocated: int = 0
    cached: int = 0
    peak_allocated: int = 0
    peak_reserved: int = 0
    fraction: float = 1.0

    @property
    def reserved(self) -> int:
        return self.allocated + self.cached


@dataclass
class FakeGpus:
    """Devices of `total` bytes; `CUDA_VISIBLE_DEVICES` says which of them a process sees, and in which order."""

    total: int = 80 * GB
    names: tuple[str, ...] = ("0",)
    held: dict[tuple[str, str], Held] = field(default_factory=lambda: defaultdict(Held))
    opened: set[str] = field(default_factory=set)
    """Processes that have opened CUDA."""
    current: int = 0
    broken: bool = False
    """Whether an error has ended CUDA in `here`: then every call raises."""
    here: str = "here"

    def visible(self) -> list[str]:
        """Names of the devices that this process sees."""
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        return list(self.names) if listed is None else [name for name in listed.split(",") if name in self.names]

    def device(self, device: object = None) -> str:
        """The name of a device as torch numbers it."""
        index = (
            self.current if device is None else torch.device(device).index if not isinstance(device, int) else device
        )
        return self.visible()[self.current if index is None else index]

    def mine(self, device: object = None) -> Held:
        """What `here` holds; opens the context."""
        if self.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        self.opened.add(self.here)
        held = self.held[self.here, self.device(device)]
        held.context = CONTEXT
        return held

    def elsewhere(self, process: str, size: int, device: str = "0") -> None:
        """Another process opens CUDA and holds `size` bytes."""
        self.held[process, device] = Held(context=CONTEXT, allocated=size)

    def end(self, process: str) -> None:
        """A process ends, and all that it holds is free."""
        for key in [key for key in self.held if key[0] == process]:
            del self.held[key]

    def free(self, device: str) -> int:
        """Bytes that no process holds."""
        return self.total - sum(h.reserved + h.context for (_, name), h in self.held.items() if name == device)

    def allocate(self, size: int, device: object = None) -> Allocation:
        """A tensor of `size` bytes of `here`."""
        held = self.mine(device)
        new = max(0, size - held.cached)
        limit = int(held.fraction * self.total)
        if new > self.free(self.device(device)) or held.reserved + new > limit:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size / 2**30:.2f} GiB.")
        held.cached += new - size
        held.allocated += size
        held.peak_allocated = max(held.peak_allocated, held.allocated)
        held.peak_reserved = max(held.peak_reserved, held.reserved)
        return Allocation(held, size)

    def mem_get_info(self, device: object = None) -> tuple[int, int]:
        self.mine(device)
        return self.free(self.device(device)), self.total

    def empty_cache(self) -> None:
        for name in self.visible():
            if (self.here, name) in self.held:
                self.mine(self.visible().index(name)).cached = 0

    def reset_peak_memory_stats(self, device: object = None) -> None:
        held = self.mine(device)
        held.peak_allocated, held.peak_reserved = held.allocated, held.reserved

    def set_fraction(self, fraction: float, device: object = None) -> None:
        self.mine(device).fraction = fraction

    def install(self, patch: pytest.MonkeyPatch) -> FakeGpus:
        """Replace the functions of `torch.cuda`."""
        replaced = {
            "is_available": lambda: bool(self.visible()),
            "is_initialized": lambda: self.here in self.opened,
            "device_count": lambda: len(self.visible()),
            "current_device": lambda: (self.opened.add(self.here), self.current)[1],
            "get_device_capability": lambda device=None: (self.opened.add(self.here), (9, 0))[1],
            "get_device_name": lambda device=None: (self.opened.add(self.here), "Fake GPU")[1],
            "mem_get_info": self.mem_get_info,
            "empty_cache": self.empty_cache,
            "synchronize": lambda device=None: self.mine(device) and None,
            "memory_reserved": lambda device=None: self.mine(device).reserved,
            "max_memory_reserved": lambda device=None: self.mine(device).peak_reserved,
            "max_memory_allocated": lambda device=None: self.mine(device).peak_allocated,
            "reset_peak_memory_stats": self.reset_peak_memory_stats,
            "set_per_process_memory_fraction": self.set_fraction,
            "get_rng_state": lambda device="cuda": torch.zeros(1),
            "set_rng_state": lambda state, device="cuda": None,
        }
        for name, function in replaced.items():
            patch.setattr(torch.cuda, name, function)
        return self


@dataclass
class Allocation:
    """A tensor: its memory returns to the cache of its process when nothing refers to it."""

    held: Held
    size: int

    def __del__(self) -> None:
        self.held.allocated -= self.size
        self.held.cached += self.size
