"""`simulated_cuda`: runs code on a CUDA device that does not exist, and finds what would fail or wait on a real one.

Tensors have shapes, types and devices but no values (torch's FakeTensorMode), so a step takes no arithmetic and no GPU.
A `DeviceFault` names file, line and operator where

- tensors of several devices meet, or a generator is on another device than what it fills;
- the host waits for the device: a value is read (`.item()`, `float`, `if tensor`, `print`), a size depends on values
  (`nonzero`, a mask as an index, `unique`, `bincount`), a tensor is copied to the CPU, or `torch.cuda.synchronize`;
- the host waits for a copy to the device: `torch.tensor(..., device="cuda")`, an index on the CPU, or `.to("cuda")`
  without `non_blocking`.

Not found: what depends on values, memory, communication between ranks, torch.compile, CUDA graphs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any, cast
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode, fake_tensor
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.amp.grad_scaler import GradScaler
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from trainer.testing.device_fault import DeviceFault, where
from trainer.testing.python_backward import backward

__all__ = ["DEVICE", "SimulatedCuda", "simulated_cuda"]

DEVICE = torch.device("cuda", 0)
"""The device that is simulated."""

DEPENDS_ON_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Torch's tags of the operators whose result or its size needs values on the host."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
PRODUCTS = {"convolution", "convolution_backward", "mm", "bmm", "addmm", "addmm_", "baddbmm", "_scaled_dot"}
"""Operators whose type decides speed and precision; attention is counted by its prefix."""
WITHOUT_SHAPES = {"_fused_sgd_"}
"""In-place operators that torch cannot run without values; their operands are checked all the same."""
SHOWN = {Tensor.__repr__, Tensor.__format__, Tensor.numpy, Tensor.__array__}
"""Methods that read values without an operator."""


class SimulatedCuda:
    """What is known of the code that has run on the simulated device."""

    def __init__(self) -> None:
        self.waits: list[str] = []
        """Where the host waited in a region where it may, one entry for each time."""
        self.product_dtypes: dict[str, set[torch.dtype]] = defaultdict(set)
        """Floating types of the operands of convolutions and matrix products, by the file that asks for them."""
        self.other_dtypes: dict[str, set[torch.dtype]] = defaultdict(set)
        """Floating types of the operands of all other operators, by file."""
        self.operators = 0
        """Number of operators run."""
        self.tolerated = 0
        self.make_generator = torch.Generator
        self.generators: dict[int, tuple[torch.Generator, str]] = {}

    def generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """`torch.Generator`, on the CPU whatever the device, which is remembered."""
        made = self.make_generator()
        self.generators[id(made)] = (made, torch.device(device).type)
        return made

    def device_of(self, generator: torch.Generator) -> str:
        """The device type that a generator was made for."""
        return self.generators.get(id(generator), (generator, generator.device.type))[1]

    @contextmanager
    def may_wait(self) -> Iterator[None]:
        """The host may wait for the device in the body, as when it logs; every number that it reads is 1."""
        self.tolerated += 1
        try:
            yield
        finally:
            self.tolerated -= 1

    def allow(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` with its body in `may_wait`."""

        def waits(*args: Any, **kwargs: Any) -> Any:
            with self.may_wait():
                return function(*args, **kwargs)

        return waits

    def refuse(self, operator: str, why: str) -> None:
        """Raise DeviceFault, or note the wait where the host may wait."""
        place = where()
        if not self.tolerated:
            raise DeviceFault(f"{place}: {operator}: {why}")
        self.waits.append(f"{place}: {operator}")


@contextmanager
def outside() -> Iterator[None]:
    """Run the body, for example a loader, as if nothing were simulated."""
    with _disable_current_modes(), torch._C.DisableTorchFunction():
        yield


@contextmanager
def simulated_cuda() -> Iterator[SimulatedCuda]:
    """Run the body with a simulated CUDA device: `device="cuda"` works, and every operator is checked.

    Only code of this thread; real CPU tensors from outside become simulated ones. Raises DeviceFault in the body.
    """
    found = SimulatedCuda()
    with torch.random.fork_rng(devices=[]), ExitStack() as stack:
        for owner, name, value in replacements(found):
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(_Tensors(allow_non_fake_inputs=True))
        stack.enter_context(_Operators(found))
        stack.enter_context(_Methods(found))
        yield found


def replacements(found: SimulatedCuda) -> Sequence[tuple[Any, str, Any]]:
    """What needs a driver, with what stands for it."""
    cuda = torch.cuda
    values: Mapping[str, Any] = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda *_, **__: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "reset_peak_memory_stats": lambda *_: None,
        "max_memory_allocated": lambda *_: 0,
        "max_memory_reserved": lambda *_: 0,
        "memory_reserved": lambda *_: 0,
        "mem_get_info": lambda *_: (8 * 10**9, 8 * 10**9),
        "empty_cache": lambda: None,
        "Stream": lambda *_, **__: mock.MagicMock(),
        "current_stream": lambda *_: mock.MagicMock(),
        "stream": lambda _: nullcontext(),
        "synchronize": lambda *_: found.refuse("torch.cuda.synchronize", "the host waits for the device"),
    }
    return [
        *((cuda, name, value) for name, value in values.items()),
        (fake_tensor, "init_gpu_context", lambda *_: None),
        (torch, "Generator", found.generator),
        (torch.random, "fork_rng", lambda *_, **__: nullcontext()),  # simulated tensors cannot hold a state
        (nn.Module, "_apply", _apply),
        (Tensor, "backward", backward),
        (Tensor, "__deepcopy__", _deepcopy),
        (Tensor, "record_stream", lambda *_: None),
        (GradScaler, "_maybe_opt_step", found_inf_then_step(found)),
    ]


def found_inf_then_step(found: SimulatedCuda) -> Callable[..., Any]:
    """`GradScaler._maybe_opt_step`, which reads once per step whether a gradient overflowed: counted, not refused."""

    def step(self: GradScaler, optimizer: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        del self
        with found.may_wait():
            for value in state["found_inf_per_device"].values():
                value.item()
        return optimizer.step(*args, **kwargs)

    return step


class _Tensors(FakeTensorMode):  # type: ignore[no-untyped-call]
    """FakeTensorMode that never asks for a driver, though `torch.cuda.is_available` says yes."""

    @property
    def avoid_device_init(self) -> bool:
        return True


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Checks every operator, forward and backward."""

    def __init__(self, found: SimulatedCuda) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":
            return func(*args, **kwargs)
        if is_composite(func):  # in inference mode autograd does not take it apart
            with self:
                return func.decompose(*args, **kwargs)
        self.found.operators += 1
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        name = func.overloadpacket.__name__
        self.note_dtypes(name, tensors)
        devices = {tensor.device.type for tensor in tensors}
        if "cuda" in devices:
            self.check_values(func, name, args, kwargs)
        self.check_copies(name, args, kwargs)
        if len(devices) > 1:
            self.check_devices(name, args, tensors)
        if name in WITHOUT_SHAPES:
            return None
        try:
            return func(*args, **kwargs)
        except DataDependentOutputException:
            if name != "_local_scalar_dense":
                raise
            return 1.0 if args[0].dtype.is_floating_point else 1
        except RuntimeError as error:
            if not re.search("two (different )?devices", str(error)):  # torch 2.11 has no class for it
                raise
            raise DeviceFault(f"{where()}: {name}: tensors on several devices: {error}") from error

    def check_values(self, func: Any, name: str, args: Any, kwargs: Any) -> None:
        """Refuse what needs values on the host."""
        if name in INDEXING:
            if any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]):
                self.found.refuse(name, "a mask as an index: the host waits for the number of its True values")
        elif DEPENDS_ON_VALUES.intersection(func.tags) and kwargs.get("output_size") is None:
            reads = torch.Tag.data_dependent_output in func.tags
            self.found.refuse(
                name, f"the {'result' if reads else 'size of the result'} depends on values: the host waits for them"
            )

    def check_copies(self, name: str, args: Any, kwargs: Any) -> None:
        """Refuse copies between host and device for which the host waits."""
        if name == "_to_copy":
            source, target = args[0].device.type, torch.device(kwargs.get("device") or args[0].device).type
            waits = not kwargs.get("non_blocking")
        elif name == "copy_":
            source, target = args[1].device.type, args[0].device.type
            waits = not (args[2] if len(args) > 2 else kwargs.get("non_blocking"))
        else:
            return
        if (source, target) == ("cuda", "cpu"):
            self.found.refuse(name, "a copy to the CPU: the host waits for the device")
        elif (source, target) == ("cpu", "cuda") and waits:
            self.found.refuse(
                name, "a copy to the device for which the host waits: make the tensor there, or pass non_blocking"
            )

    def check_devices(self, name: str, args: Any, tensors: Sequence[Tensor]) -> None:
        """Refuse tensors of several devices; a 0-d tensor of the CPU counts as a number, but not as an index."""
        if name in {"copy_", "_to_copy"}:
            return
        strays = [tensor for tensor in tensors if tensor.device.type == "cpu" and (tensor.ndim or name in INDEXING)]
        if strays:
            shape = tuple(strays[0].shape)
            raise DeviceFault(f"{where()}: {name}: tensors on several devices: one of shape {shape} is on the CPU")

    def note_dtypes(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Note the types of the operands."""
        dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
        if dtypes:
            product = name in PRODUCTS or name.startswith("_scaled_dot_product")
            kind = self.found.product_dtypes if product else self.found.other_dtypes
            kind[where().rpartition(":")[0]].update(dtypes)


class _Methods(TorchFunctionMode):
    """Checks what torch's operators do not show: printed tensors and the device of generators."""

    def __init__(self, found: SimulatedCuda) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in SHOWN and args[0].device.type == "cuda":
            self.found.refuse(func.__name__, "its values are shown: the host waits for the device")
        result = func(*args, **kwargs)
        generator = kwargs.get("generator")
        if (
            generator is not None
            and isinstance(result, Tensor)
            and result.device.type != self.found.device_of(generator)
        ):
            made, filled = self.found.device_of(generator), result.device.type
            raise DeviceFault(f"{where()}: {func.__name__}: a generator on {made} fills a tensor on {filled}")
        return result


def _apply(self: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`nn.Module._apply` that replaces parameters; torch's exchanges them in place, which simulated ones cannot."""
    if recurse:
        for child in self.children():
            child._apply(fn)  # type: ignore[no-untyped-call]
    for name, parameter in self._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                self._parameters[name] = nn.Parameter(fn(parameter), parameter.requires_grad)
    for name, buffer in self._buffers.items():
        if buffer is not None:
            self._buffers[name] = fn(buffer)
    return self


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A copy; torch's copies the memory, which a simulated tensor does not have, and so damages the heap."""
    return cast(Tensor, memo.setdefault(id(self), self.detach().clone().requires_grad_(self.requires_grad)))


@cache
def is_composite(func: Any) -> bool:
    """Whether an operator is made of others."""
    composite: bool = func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)
    return composite
