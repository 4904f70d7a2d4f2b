"""CLIP and SigLIP checkpoints with random weights: the real classes and files, in half a megabyte.

The same seed gives the same files under the same pins. What they make of an image means nothing,
but for this: equal pixels give equal vectors. It needs torch and transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

SIDE = 32
"""Pixels across of what the model sees: 16 patches of 8."""
WIDTH = 24
"""Numbers of a vector."""
_LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32,
           "intermediate_size": 64}  # fmt: skip


def write_clip(folder: Path, kind: Literal["clip", "siglip"] = "clip", seed: int = 0) -> Path:
    """Weights, configuration and image processor, as `save_pretrained` writes them."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = (_clip if kind == "clip" else _siglip)()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _clip() -> tuple[Any, Any]:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    config = CLIPConfig(
        text_config={**_LAYERS, "vocab_size": 64, "projection_dim": WIDTH},
        vision_config={**_LAYERS, "image_size": SIDE, "patch_size": 8, "projection_dim": WIDTH},
        projection_dim=WIDTH,
    )
    size = {"height": SIDE, "width": SIDE}
    return CLIPModel(config), CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=size)


def _siglip() -> tuple[Any, Any]:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    config = SiglipConfig(
        text_config={**_LAYERS, "vocab_size": 64},
        vision_config={**_LAYERS, "image_size": SIDE, "patch_size": 8},
    )
    return SiglipModel(config), SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
