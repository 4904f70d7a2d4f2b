"""The benchmark of the 7B shape, but for the GPU: its configuration, and how it measures."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from mgdata.data import Request, Sampling
from mgdata.teacher.backends.transformers import Transformers
from tests.benchmarks import gpu
from tests.benchmarks.seven_billion import (
    PIXELS,
    configuration,
    text_parameters,
    vision_parameters,
    write_folder,
)
from tests.environments.checkpoint import configuration as small
from tests.environments.checkpoint import trained_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return trained_tokenizer(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """As the benchmark writes it, but for the sizes, which are the small checkpoint's."""
    return write_folder(tmp_path_factory.mktemp("shape") / "small", configured=small(tokenizer))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return gpu.stored(tmp_path_factory.mktemp("photographs"), 6)


class NoMemory(gpu.Memory):
    """A machine without a GPU has none of its memory."""

    def begin(self) -> None: ...

    def peak(self) -> tuple[int, int]:
        return 0, 0


def test_the_class_made_from_the_configuration_has_the_computed_parameters(tokenizer):
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(configuration(tokenizer))
    vision = sum(one.numel() for one in model.model.visual.parameters())
    assert vision == vision_parameters()
    assert sum(one.numel() for one in model.parameters()) - vision == text_parameters()


def test_the_folder_of_the_7b_shape_is_small_and_reads_back(tmp_path, tokenizer):
    folder = write_folder(tmp_path / "shape")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6
    config = AutoConfig.from_pretrained(folder)
    assert config.dtype == torch.bfloat16
    assert config.text_config.num_hidden_layers == 28 and config.vision_config.depth == 32
    assert AutoProcessor.from_pretrained(folder).tokenizer.get_vocab() == tokenizer.get_vocab()


def test_weights_that_the_folder_lacks_are_random_ones(folder, pictures):
    _, read = pictures
    session = Transformers(checkpoint=str(folder), device="cpu", dtype="bfloat16").open(read)
    model = session._model
    assert {one.dtype for one in model.parameters()} == {torch.bfloat16}
    wide = [one for one in model.parameters() if one.dim() == 2]
    assert wide and all(one.float().std() > 0.02 for one in wide)
    session.close()


def test_a_cell_is_measured_with_the_images_and_tokens_it_asks_for(folder, pictures):
    names, read = pictures
    settings = Transformers(
        checkpoint=str(folder), device="cpu", batch=2, dtype="float32",
        min_pixels=PIXELS[0], max_pixels=PIXELS[1],
    )  # fmt: skip
    session = settings.open(read)
    cell = gpu.Cell(images=3, answer=3, batch=2, requests=2)
    found = gpu.measured(session, cell, names, NoMemory())
    session.close()
    # A photo of 640 x 480 has 23 x 17 tokens under the published limits.
    assert found.prompt_tokens // found.requests > 3 * 23 * 17
    assert found.seconds > 0 and found.first > 0
    assert len(gpu.line(found).split()) == len(gpu.COLUMNS)


def test_rates_are_of_the_seconds_that_they_belong_to():
    cell = gpu.Cell(
        images=5, answer=101, batch=2, requests=4, prompt_tokens=8000, first=2.0, seconds=10.0
    )
    assert cell.rates() == {"images/s": 2.0, "prompt tokens/s": 4000.0, "answer tokens/s": 50.0}


def test_an_answer_that_is_not_as_long_as_asked_for_is_no_measurement(folder, pictures):
    names, read = pictures
    session = Transformers(checkpoint=str(folder), device="cpu", images=1).open(read)
    cell = gpu.Cell(images=3, answer=2, batch=1, requests=1)
    with pytest.raises(RuntimeError, match="too many images"):
        gpu.timed(session, gpu.asked(cell, names, 2))
    session.close()


def test_requests_differ_in_pictures_and_seeds():
    found = gpu.asked(gpu.Cell(images=2, answer=8, batch=1, requests=3), list("abcdef"), 8)
    assert [one.pictures for one in found] == [("a", "b"), ("c", "d"), ("e", "f")]
    assert [one.seed for one in found] == [0, 1, 2]
    expected = Sampling(temperature=1.0, max_tokens=8, ignore_eos=True)
    assert all(isinstance(one, Request) and one.sampling == expected for one in found)
