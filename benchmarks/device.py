"""The options that the trainer's benchmarks share, and the card that `--device cuda` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

__all__ = ["DEVICES", "command_line", "parse"]

DEVICES = ("cpu", "cuda")


def command_line(description: str | None, device: str = "cpu") -> argparse.ArgumentParser:
    """The options of every benchmark; it may add its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=DEVICES, default=device, help=f"default: {device}")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, no goal counts: a check that it runs")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options given; one line and exit code 2 when they ask for a card and there is none."""
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.exit(
            2, f"{parser.prog}: --device cuda: torch sees no CUDA device here; run it on a machine with a card\n"
        )
    return given
