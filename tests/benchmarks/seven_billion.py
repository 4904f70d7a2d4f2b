"""Qwen2.5-VL in its 7B shape, without its weights: a checkpoint folder of a few files.

Sizes are those of the published configuration (Qwen/Qwen2.5-VL-7B-Instruct, config.json). The
folder's weights file holds one small tensor: whoever loads the folder with transformers gets the
rest at random, made where the model is made, and nothing of 16 GB is ever written. Tokenizer and
chat template are those of the tests' small checkpoint, the image processor's limits the published
ones, so that a picture has as many tokens as it has for the real model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEXT: dict[str, Any] = {
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128_000,
    "rms_norm_eps": 1e-6,
    "use_sliding_window": False,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1_000_000.0,
        "mrope_section": [16, 24, 24],
    },
    "initializer_range": 0.02,
}
VISION: dict[str, Any] = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "in_channels": 3,
    "out_hidden_size": 3584,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "initializer_range": 0.02,
}
PIXELS = (56 * 56, 28 * 28 * 16_384)
"""Least and most of a picture (preprocessor_config.json)."""


def text_parameters(sizes: dict[str, Any] = TEXT) -> int:
    """Parameters of the language model: embeddings, layers, a head of its own."""
    wide, inner = sizes["hidden_size"], sizes["intermediate_size"]
    narrow = wide // sizes["num_attention_heads"] * sizes["num_key_value_heads"]
    attention = (wide * wide + wide) + 2 * (wide * narrow + narrow) + wide * wide
    layer = attention + 3 * wide * inner + 2 * wide
    return 2 * sizes["vocab_size"] * wide + sizes["num_hidden_layers"] * layer + wide


def vision_parameters(sizes: dict[str, Any] = VISION) -> int:
    """Parameters of the vision tower: patches, blocks, the merger into the language model."""
    wide, inner = sizes["hidden_size"], sizes["intermediate_size"]
    pixels = sizes["in_channels"] * sizes["temporal_patch_size"] * sizes["patch_size"] ** 2
    attention = (wide * 3 * wide + 3 * wide) + (wide * wide + wide)
    block = attention + 3 * wide * inner + 2 * inner + wide + 2 * wide
    merged = sizes["spatial_merge_size"] ** 2 * wide
    out = sizes["out_hidden_size"]
    merger = wide + (merged * merged + merged) + (merged * out + out)
    return pixels * wide + sizes["depth"] * block + merger


def configuration(tokenizer: Any) -> Any:
    """The published configuration, with the ids that `tokenizer` has for special tokens."""
    from transformers import Qwen2_5_VLConfig

    from tests.environments.checkpoint import SPECIAL

    ids = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    ends = {
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    return Qwen2_5_VLConfig(
        text_config=TEXT | ends, vision_config=VISION, tie_word_embeddings=False, dtype="bfloat16",
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip


def write_folder(folder: Path, *, configured: Any = None) -> Path:
    """The folder; `configured` is another configuration than the 7B's, for a test."""
    import torch
    from safetensors.torch import save_file
    from transformers import GenerationConfig

    from tests.environments.checkpoint import processor, trained_tokenizer

    tokenizer = trained_tokenizer(0)
    shape = configured or configuration(tokenizer)
    shape.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    shape.save_pretrained(folder)
    processor(tokenizer).save_pretrained(folder)
    stop = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    GenerationConfig(eos_token_id=stop, pad_token_id=stop[1]).save_pretrained(folder)
    one = {"model.norm.weight": torch.ones(shape.text_config.hidden_size, dtype=torch.bfloat16)}
    save_file(one, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
