"""The renderer of training samples on a GPU: it mirrors, casts, jitters and pads a whole batch at once.

Loader threads crop and resize to 8-bit pixels in pinned memory; nothing here waits for the GPU. With the same draws,
the images are those of `transforms` up to rounding, and the labels are equal. The functions run on a CPU as well.
Axes: B batch, h w crop, K numbers of a draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.data.loading.batch import Batch
from trainer.data.loading.draws import SampleDraw
from trainer.data.loading.transforms import PAD_GREY, grey_of, resized
from trainer.data.loading.upload import host_memory, upload
from trainer.data.source import IGNORE_INDEX, Pair

__all__ = ["PixelBatch", "draw_table", "render"]

PLACE_NUMBERS = 5
"""Numbers of a draw that say where the image lies: flip, top, bottom, left, right."""
CHANGE_NUMBERS = 3
"""Numbers of each change of the colours: factors of the pixel, of the mean grey, and of the pixel's own grey."""


class PixelBatch:
    """A batch on the host: 8-bit pixels at their size and place in the crop, not mirrored, and their draws."""

    def __init__(self, images: int, crop: tuple[int, int], device: torch.device) -> None:
        self.device = device
        self.image_Bhw3 = host_memory((images, *crop, 3), torch.uint8, device)
        self.label_Bhw = host_memory((images, *crop), torch.uint8, device)
        self.draws: dict[int, SampleDraw] = {}

    def fill(self, turn: int, pair: Pair, draw: SampleDraw) -> None:
        """Put the sample `draw` of `pair` in place `turn`; what it does not cover stays undefined."""
        image_3ij, label_ij = resized(pair, draw)
        place = (turn, draw.rows.place, draw.columns.place)
        self.image_Bhw3[place] = image_3ij.permute(1, 2, 0)
        self.label_Bhw[place] = label_ij
        self.draws[turn] = draw

    def finish(self) -> Batch:
        """The batch on its device."""
        table_BK = draw_table([self.draws[turn] for turn in sorted(self.draws)], self.device)
        image_Bhw3, label_Bhw, table_BK = upload(self.device, self.image_Bhw3, self.label_Bhw, table_BK)
        return render(image_Bhw3.permute(0, 3, 1, 2), label_Bhw, table_BK)


def draw_table(draws: Sequence[SampleDraw], device: torch.device) -> Tensor:
    """What `render` needs of the draws of a batch, float32 (B, K) on the host, to be uploaded to `device`."""
    rows = [[float(draw.flip), *place_numbers(draw), *change_numbers(draw)] for draw in draws]
    return host_memory((len(rows), len(rows[0])), torch.float32, device).copy_(torch.tensor(rows))


def place_numbers(draw: SampleDraw) -> list[float]:
    """Top, bottom, left and right of the image in the finished crop."""
    rows, columns = draw.place
    return [rows.start, rows.stop, columns.start, columns.stop]


def change_numbers(draw: SampleDraw) -> list[float]:
    """Of each change, the factors of the pixel, of the mean grey, and of the pixel's own grey."""
    numbers = []
    for change, factor in draw.changes:
        rest = 1 - factor
        numbers += [factor, rest * (change == "contrast"), rest * (change == "saturation")]
    return numbers


def render(image_B3hw: Tensor, label_Bhw: Tensor, table_BK: Tensor) -> Batch:
    """Finish a batch on its device.

    `image_B3hw` has values 0..255 (uint8 or float32), `label_Bhw` is uint8; both are not mirrored, and undefined
    outside the image. `table_BK` is from `draw_table`.
    """
    flip_B111 = table_BK[:, :1, None, None] > 0
    inside_B1hw = inside(table_BK, (int(label_Bhw.shape[1]), int(label_Bhw.shape[2])))
    image_B3hw = torch.where(flip_B111, image_B3hw.flip(-1), image_B3hw).to(torch.float32).mul_(1 / 255)
    for first in range(PLACE_NUMBERS, table_BK.shape[1], CHANGE_NUMBERS):
        change_colours(image_B3hw, inside_B1hw, table_BK[:, first : first + CHANGE_NUMBERS])
    label_Bhw = torch.where(flip_B111[:, 0], label_Bhw.flip(-1), label_Bhw).to(torch.int64)
    outside_B1hw = ~inside_B1hw
    return Batch(
        image_B3hw.masked_fill_(outside_B1hw, PAD_GREY), label_Bhw.masked_fill_(outside_B1hw[:, 0], IGNORE_INDEX)
    )


def inside(table_BK: Tensor, size: tuple[int, int]) -> Tensor:
    """Where finished crops of `size` = (h, w) show the image, bool (B, 1, h, w)."""
    _, top_B111, bottom_B111, left_B111, right_B111 = table_BK[:, :PLACE_NUMBERS, None, None, None].unbind(1)
    row_h1 = torch.arange(size[0], device=table_BK.device)[:, None]
    column_w = torch.arange(size[1], device=table_BK.device)
    rows_B1h1 = (row_h1 >= top_B111) & (row_h1 < bottom_B111)
    return rows_B1h1 & (column_w >= left_B111) & (column_w < right_B111)


def change_colours(image_B3hw: Tensor, inside_B1hw: Tensor, numbers_B3: Tensor) -> None:
    """Make one change of each image in place; which one differs between the images.

    Each change is a sum of the pixel, the mean grey of the image and the pixel's own grey, cut off at 0 and 1.
    """
    pixel_B111, mean_B111, grey_B111 = numbers_B3[..., None, None, None].unbind(1)
    grey_B1hw = grey_of(image_B3hw)[:, None]
    within_B1hw = grey_B1hw.masked_fill(~inside_B1hw, 0)
    mean_grey_B111 = within_B1hw.sum((-2, -1), keepdim=True) / inside_B1hw.sum((-2, -1), keepdim=True)
    rest_B1hw = grey_B1hw.mul_(grey_B111).add_(mean_grey_B111 * mean_B111)
    image_B3hw.mul_(pixel_B111).add_(rest_B1hw).clamp_(0, 1)
