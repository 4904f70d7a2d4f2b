"""Lets a CUDA build of torchvision be imported beside a CPU build of torch.

`make.py` copies it into an environment, where a .pth file loads it with every interpreter, spawned
engines and Ray workers included. torchvision's compiled part needs CUDA libraries and stays out;
its Python part then registers shapes for two operators that nobody declared, and fails. Declared
first, they let `torchvision.transforms` work, which is all that image processors use. Calling them
still fails. It touches nothing until torchvision is asked for, and nothing at all where torch is a
CUDA build.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

OPERATORS = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class Declaration:
    """Finds no module: it is asked before torchvision is found, and that is the moment."""

    def __init__(self) -> None:
        self.library: Any = None

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        """Declares the operators when torchvision is first looked for."""
        if name != "torchvision" or self.library is not None:
            return
        import torch

        if torch.version.cuda is not None:
            return
        # A declaration lasts as long as the library that made it.
        self.library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in OPERATORS:
            self.library.define(operator + SIGNATURE)


sys.meta_path.insert(0, Declaration())
