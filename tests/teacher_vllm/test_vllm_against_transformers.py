"""The reference: with the same weights and nothing left to chance, both engines say the same."""

from __future__ import annotations

import pytest
import ray
from environments.prompts import messages, rendered
from PIL import Image as Picture

TOKENS = 64


@pytest.fixture(scope="module")
def reference(checkpoint):
    """Prompt about photos to the token ids of the likeliest answer, by transformers."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(checkpoint).eval()

    def told(photos):
        pictures = list(map(Picture.open, photos))
        batch = processor(text=[rendered(len(photos))], images=pictures, return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(**batch, max_new_tokens=TOKENS, do_sample=False)
        return tuple(tokens[0, batch["input_ids"].shape[1] :].tolist())

    return told


@pytest.mark.parametrize("chosen", [slice(0, 3), slice(0, 5), slice(1, 6)])
def test_the_likeliest_answer_is_that_of_transformers(engine, photos, reference, chosen):
    settings = {"temperature": 0.0, "max_tokens": TOKENS}
    asked = engine.chat.remote([messages(photos[chosen])], [settings])
    ((_, tokens, _),) = ray.get(asked)[0]
    assert tokens == reference(photos[chosen])
