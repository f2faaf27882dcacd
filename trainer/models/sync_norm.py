"""Batch normalisation over the images of all ranks on a CPU, which torch's SyncBatchNorm does not support.

Axes: B batch, C channels, H W feature map, R ranks.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from timm.layers.norm_act import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from trainer.errors import TrainerError

__all__ = ["SyncNorm2d", "SyncNormAct2d", "synchronise_norms"]


def synchronise_norms(model: nn.Module, device: torch.device) -> None:
    """Make every batch norm of `model`, including timm's with an activation, compute statistics over all ranks.

    Names of parameters and buffers do not change, so a checkpoint can be resumed with any number of ranks. On CUDA the
    norms become torch's SyncBatchNorm. Raises TrainerError for an unknown kind of batch norm.
    """
    if device.type == "cuda":
        convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            kind = SYNCHRONISED.get(type(module))
            if kind is None:
                raise TrainerError(
                    f"model: {name} is a {type(module).__name__}, which runtime.ranks above 1 cannot synchronise on a "
                    "CPU; use one rank"
                )
            cast(Any, module).__class__ = kind  # the same layer with another forward


class SyncNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` with training statistics over the images of all ranks.

    All ranks must call it with equal shapes. The running variance is unbiased for the global number of pixels.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name it has in torch
        """Normalise (B, C, H, W)."""
        return over_ranks(self, input) if self.training and self.track_running_stats else super().forward(input)


class SyncNormAct2d(BatchNormAct2d):
    """The same for timm's `BatchNormAct2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) and apply the activation."""
        if self.training and self.track_running_stats:
            return cast(Tensor, self.act(self.drop(over_ranks(self, x))))
        return cast(Tensor, super().forward(x))  # type: ignore[no-untyped-call]


SYNCHRONISED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: SyncNorm2d, BatchNormAct2d: SyncNormAct2d}


def over_ranks(norm: nn.BatchNorm2d, input_BCHW: Tensor) -> Tensor:
    """Normalise with the statistics of all ranks, and update the running statistics of `norm`."""
    seen, mean_C, variance_C = (
        cast(Tensor, value) for value in (norm.num_batches_tracked, norm.running_mean, norm.running_var)
    )
    seen.add_(1)
    share = 1 / float(seen) if norm.momentum is None else norm.momentum
    pixels = input_BCHW.numel() // input_BCHW.shape[1] * dist.get_world_size()
    apply = cast(Any, _NormaliseOverRanks.apply)
    output_BCHW, batch_mean_C, batch_variance_C = apply(input_BCHW, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        mean_C.lerp_(batch_mean_C, share)
        variance_C.lerp_(batch_variance_C * (pixels / (pixels - 1)), share)
    return cast(Tensor, output_BCHW)


class _NormaliseOverRanks(torch.autograd.Function):
    """Batch normalisation with mean and variance over all ranks; one collective in each direction.

    The gradients of weight and bias are those of this rank; data-parallel training sums them.
    """

    @staticmethod
    def forward(
        ctx: Any, input_BCHW: Tensor, weight_C: Tensor | None, bias_C: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide_BCHW = input_BCHW.to(torch.promote_types(input_BCHW.dtype, torch.float32))
        own_variance_C, own_mean_C = torch.var_mean(wide_BCHW, dim=(0, 2, 3), correction=0)
        own_2C = torch.stack([own_mean_C, own_variance_C])
        parts = [torch.empty_like(own_2C) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own_2C)
        mean_RC, variance_RC = torch.stack(parts, dim=1)
        mean_C = mean_RC.mean(dim=0)
        variance_C = variance_RC.mean(dim=0) + (mean_RC - mean_C).square().mean(dim=0)  # Chan et al. 1983
        inverse_C = (variance_C + eps).rsqrt()
        ctx.save_for_backward(input_BCHW, weight_C, mean_C, inverse_C)
        ctx.mark_non_differentiable(mean_C, variance_C)
        output_BCHW = F.batch_norm(wide_BCHW, mean_C, variance_C, weight_C, bias_C, training=False, eps=eps)
        return output_BCHW.to(input_BCHW.dtype), mean_C, variance_C

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BCHW: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        del unused
        input_BCHW, weight_C, mean_C, inverse_C = ctx.saved_tensors
        grad_BCHW = grad_BCHW.to(mean_C.dtype)
        mean_C11, inverse_C11 = mean_C[:, None, None], inverse_C[:, None, None]
        normal_BCHW = (input_BCHW - mean_C11) * inverse_C11
        own_2C = torch.stack([grad_BCHW.sum(dim=(0, 2, 3)), (grad_BCHW * normal_BCHW).sum(dim=(0, 2, 3))])
        total_2C = own_2C.clone()
        dist.all_reduce(total_2C)
        pixels = input_BCHW.numel() // input_BCHW.shape[1] * dist.get_world_size()
        shift_C11, slope_C11 = (total_2C / pixels)[..., None, None]
        scale_C11 = inverse_C11 if weight_C is None else inverse_C11 * weight_C[:, None, None]
        grad_input_BCHW = (grad_BCHW - shift_C11 - normal_BCHW * slope_C11) * scale_C11
        grad_bias_C, grad_weight_C = own_2C
        return (
            grad_input_BCHW.to(input_BCHW.dtype),
            None if weight_C is None else grad_weight_C,
            None if weight_C is None else grad_bias_C,
            None,
        )
