"""A Qwen2.5-VL checkpoint with random weights: the real classes, files and code paths, in 3 MB.

    .venv-vllm/bin/python tests/environments/checkpoint.py FOLDER --seed 0

The same seed gives the same files, byte for byte, under the same pins. Its output depends on the
images, the text and the seed, and means nothing: what it says can be asked to have a form, never
to be right. It needs torch, transformers and a torchvision that imports; it knows neither vLLM nor
mgdata.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
"""The family's own, in its order (Qwen2.5-VL, tokenizer_config.json)."""

TEMPLATE = """\
{%- macro said(content) -%}
{%- if content is string -%}{{ content }}
{%- else -%}
{%- for part in content -%}
{%- if part.type == 'text' -%}{{ part.text }}
{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- else -%}<|vision_start|><|image_pad|><|vision_end|>
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
{{ '<|im_start|>' ~ message.role ~ '\\n' ~ said(message.content) ~ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
"""Turns as the family writes them; an image stands where it stood in the message."""

SIDE = 28
"""Pixels across that one image token sees: patches of 14, merged two by two."""
PIXELS = (4 * SIDE * SIDE, 64 * SIDE * SIDE)
"""An image becomes 4 to 64 tokens, so that five images and 512 tokens of answer fit in 2048."""

TOKENS = 1010
"""Entries that the byte-level BPE learns; with the special ones, the vocabulary of 1024."""
WORDS = """\
the a one same other first second third fourth fifth image images shows show in of and is are left
right above below behind near kite bus dog cup red green blue small large person frame where which
both box object appears moves looks compare answer because so then step not only"""


def write_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Weights, configuration, tokenizer, chat template and processor, as `save_pretrained` does."""
    import torch
    from transformers import AutoModelForImageTextToText, GenerationConfig

    tokenizer = trained_tokenizer(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(configuration(tokenizer))
    stop = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(eos_token_id=stop, pad_token_id=stop[1])
    model.save_pretrained(folder)
    processor(tokenizer).save_pretrained(folder)
    return folder


def trained_tokenizer(seed: int) -> Any:
    """Byte-level BPE over traces of our own: every text can be written, ours in few tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    tokenizer.train_from_iterator(traces(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL), model_max_length=8192, chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def traces(seed: int, lines: int = 1500) -> Iterator[str]:
    """Text of the kind that a teacher writes: reasoning, and boxes in two ways of writing them."""
    rng, words = random.Random(seed), WORDS.split()
    for _ in range(lines):
        said = " ".join(rng.choice(words) for _ in range(rng.randint(6, 24)))
        box = [rng.randint(0, 999) for _ in range(4)]
        objects = [{"image": rng.randint(1, 5), "box": box, "label": rng.choice(words)}]
        yield f"<think>{said}.</think><answer>{json.dumps(objects)}</answer>"
        yield f"{rng.choice(words)} ({box[0]},{box[1]}),({box[2]},{box[3]})"


def configuration(tokenizer: Any) -> Any:
    """The smallest sizes that every engine takes: vLLM's attention on a CPU needs heads of 32."""
    from transformers import Qwen2_5_VLConfig

    ids = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    # A spread of 0.02, the usual one, gives nearly the same text whatever the images are.
    spread = 0.08
    text = {
        "vocab_size": 64 * -(-len(tokenizer) // 64),
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8192,
        # Three shares of half a head: time, height, width.
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [4, 6, 6],
        },
        "bos_token_id": None, "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"], "initializer_range": spread,
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2,
        "out_hidden_size": 128, "patch_size": SIDE // 2, "spatial_merge_size": 2,
        "temporal_patch_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
        "initializer_range": spread,
    }  # fmt: skip
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=False, dtype="float32",
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip


def processor(tokenizer: Any) -> Any:
    """Tokenizer and image processor in one, as `AutoProcessor` reads them back."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    least, most = PIXELS
    limits = {"shortest_edge": least, "longest_edge": most}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=limits), tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=limits), chat_template=TEMPLATE,
    )  # fmt: skip


def main() -> None:
    """Writes one where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(write_checkpoint(asked.folder, asked.seed))


if __name__ == "__main__":
    main()
