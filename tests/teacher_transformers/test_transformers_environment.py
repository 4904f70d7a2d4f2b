"""What a backend on transformers builds on: the small checkpoint, through the library's own doors."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments.checkpoint import write_checkpoint
from environments.requirements import unmet
from PIL import Image as Picture


@pytest.fixture(scope="module")
def model(checkpoint: Path):
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(checkpoint).eval()


@pytest.fixture(scope="module")
def processor(checkpoint: Path):
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoint)


def prompt(processor, photos: list[Path]):
    content = [{"type": "image"} for _ in photos] + [{"type": "text", "text": "Where is the kite?"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    return processor(text=[text], images=list(map(Picture.open, photos)), return_tensors="pt")


def told(model, processor, photos: list[Path], *, seed: int = 0, **settings) -> list[str]:
    import torch

    batch = prompt(processor, photos)
    torch.manual_seed(seed)
    with torch.inference_mode():
        tokens = model.generate(**batch, max_new_tokens=24, **settings)
    return processor.batch_decode(tokens[:, batch["input_ids"].shape[1] :])


def test_the_environment_meets_what_mgdata_asks_for():
    assert unmet("mgdata") == []


def test_the_same_seed_writes_the_same_checkpoint(checkpoint, tmp_path):
    again = write_checkpoint(tmp_path / "again")
    other = write_checkpoint(tmp_path / "other", seed=1)
    files = {path.name for path in checkpoint.iterdir()}
    assert {"config.json", "tokenizer.json", "processor_config.json"} < files
    assert all((again / name).read_bytes() == (checkpoint / name).read_bytes() for name in files)
    weights = "model.safetensors"
    assert (other / weights).read_bytes() != (checkpoint / weights).read_bytes()


@pytest.mark.parametrize("images", [3, 5])
def test_a_prompt_holds_24_tokens_for_each_image(processor, photos, images):
    batch = prompt(processor, photos[:images])
    token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert (batch["input_ids"] == token).sum() == 24 * images
    assert batch["image_grid_thw"].tolist() == [[1, 8, 12]] * images


@pytest.mark.parametrize("images", [3, 5])
def test_four_answers_repeat_with_their_seed(model, processor, photos, images):
    settings = {"do_sample": True, "num_return_sequences": 4}
    answers = told(model, processor, photos[:images], seed=1, **settings)
    assert len(set(answers)) == 4
    assert told(model, processor, photos[:images], seed=1, **settings) == answers
    assert told(model, processor, photos[:images], seed=2, **settings) != answers


def test_the_answer_depends_on_images_and_their_order(model, processor, photos):
    orders = [photos[:3], photos[2::-1], photos[3:6]]
    answers = [told(model, processor, order, do_sample=False)[0] for order in orders]
    assert len(set(answers)) == 3
