"""Settings of the engines that run here, and which model a checkpoint is. No engine is needed."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from mgdata.errors import EnvironmentFailure
from mgdata.registry import settings_of
from mgdata.schema import faults, settings_schema
from mgdata.teacher.backends.checkpoints import named
from mgdata.teacher.backends.transformers import Transformers
from mgdata.teacher.backends.vllm import Vllm, steady


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "tiny"
    found.mkdir()
    (found / "config.json").write_text(json.dumps({"hidden_size": 128}))
    (found / "model.safetensors").write_bytes(bytes(3_000_000))
    return found


def test_a_folder_is_called_by_its_name_and_what_it_holds(folder, tmp_path):
    name = named(str(folder), "main", {})
    assert name.startswith("tiny@") and str(tmp_path) not in name
    moved = tmp_path / "elsewhere" / "tiny"
    moved.parent.mkdir()
    folder.rename(moved)
    os.utime(moved / "config.json", (1, 1))
    (moved / "README.md").write_text("another text")
    assert named(str(moved), "main", {}) == name


def test_other_weights_or_settings_under_the_same_path_are_another_model(folder):
    first = named(str(folder), "main", {})
    trained = bytearray(3_000_000)
    trained[1_000_000:2_000_000] = bytes([7]) * 1_000_000
    (folder / "model.safetensors").write_bytes(trained)
    second = named(str(folder), "main", {})
    (folder / "config.json").write_text(json.dumps({"hidden_size": 256}))
    assert len({first, second, named(str(folder), "main", {})}) == 3


def test_a_model_of_the_hub_is_called_by_its_revision():
    told = {"dtype": "bfloat16", "max_pixels": 1000, "min_pixels": None, "template": {"b": 1}}
    assert named("Qwen/Qwen2.5-VL-7B-Instruct", "cc59489", told) == (
        'Qwen/Qwen2.5-VL-7B-Instruct@cc59489[dtype=bfloat16,max_pixels=1000,template={"b": 1}]'
    )


@pytest.mark.parametrize("kind", [Vllm, Transformers])
@pytest.mark.parametrize("where", ["/nowhere/at-all", "./nowhere", "~/nowhere"])
def test_a_folder_without_a_model_is_no_such_model(kind, where):
    with pytest.raises(EnvironmentFailure, match="no such model") as failure:
        kind(checkpoint=where).open(lambda _: b"")
    assert where in str(failure.value)


@pytest.mark.parametrize(
    ("kind", "package"), [(Vllm, "vllm is not installed"), (Transformers, "torch is not installed")]
)
def test_an_engine_that_is_not_installed_says_how_to_install_it(kind, package):
    with pytest.raises(EnvironmentFailure, match=f"{package}.*pip install"):
        kind(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct").open(lambda _: b"")


@pytest.mark.parametrize("kind", [Vllm, Transformers])
def test_a_backend_travels_by_value(kind):
    one = kind(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct", template={"enable_thinking": False})
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"engine": {"hf_overrides": {"rope": [1]}}, "template": {"enable_thinking": True}}, ""),
        ({"max_pixel": 3}, "max_pixels"),
        ({"device": "tpu"}, "gpu"),
        ({"max_num_seqs": "many"}, "whole number"),
    ],
)
def test_a_recipe_s_settings_are_checked(settings, wrong):
    found = faults({"checkpoint": "x", **settings}, settings_schema(settings_of(Vllm)))
    assert (wrong in "\n".join(found)) and bool(found) == bool(wrong), found


def test_what_shapes_answers_is_part_of_the_model_and_what_does_not_is_not():
    plain = Vllm(checkpoint="a/b")
    same = Vllm(checkpoint="a/b", max_num_seqs=8, tensor_parallel_size=4, images=3, timeout=9)
    assert plain.model == same.model == Transformers(checkpoint="a/b").model == "a/b@main"
    others = [{"max_pixels": 9}, {"dtype": "float32"}, {"engine": {"quantization": "fp8"}}]
    assert len({Vllm(checkpoint="a/b", **one).model for one in others} | {plain.model}) == 4


def test_a_session_takes_as_many_gpus_as_its_model_is_spread_over():
    assert Vllm(checkpoint="a/b").gpus == 1
    assert Vllm(checkpoint="a/b", tensor_parallel_size=4).gpus == 4
    assert Vllm(checkpoint="a/b", tensor_parallel_size=4, device="cpu").gpus == 0
    assert Transformers(checkpoint="a/b", device="gpu").gpus == 1
    assert Transformers(checkpoint="a/b", device="cpu").gpus == 0


def test_arguments_of_the_engine_come_from_settings_and_the_recipe_s_own_win():
    made = Vllm(checkpoint="a/b", images=5, engine={"seed": 3, "swap": 1})
    found = made.arguments({"shortest_edge": 4, "longest_edge": 9})
    assert found["limit_mm_per_prompt"] == {"image": 5, "video": 0}
    assert found["mm_processor_kwargs"] == {"size": {"shortest_edge": 4, "longest_edge": 9}}
    assert (found["model"], found["seed"], found["swap"]) == ("a/b", 3, 1)
    assert "enable_chunked_prefill" not in found
    small = Vllm(checkpoint="a/b", device="cpu").arguments({})
    assert small["enable_chunked_prefill"] is False and small["mm_processor_kwargs"] is None


def test_what_an_engine_says_is_the_same_each_time():
    said = "Failed: [21:42:30] /project/cpp/json.cc:49: no type\n<Image at 0x7F45C010E910>"
    assert steady(said) == "Failed: no type <Image>"
