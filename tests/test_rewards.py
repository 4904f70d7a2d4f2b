"""The judgement as a reward, called exactly as each trainer's code calls it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import subprocess
import sys
import time
from collections import UserDict, defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdata import registry, rewards
from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.rewards import (
    PRESETS,
    Parts,
    Terms,
    compute_score,
    grounding_reward,
    judge,
    trl_reward,
)
from mgdata.teacher.acceptance import REASONS
from mgdata.teacher.truth import write

IMAGES = (Image(uri="a", width=1000, height=1000), Image(uri="b", width=1000, height=1000))
DOG = Target(image=1, box=Box(100, 100, 300, 300))
CAT = Target(image=0, box=Box(600, 600, 800, 900))
ONE = Turn(question="?", answer="<target:0>", targets=(DOG,))
MANY = Turn(question="?", answer="Image-1: <target:0>\nImage-2: <target:1>", targets=(CAT, DOG))
NONE = Turn(question="?", answer="None.")
CHOICE = Turn(question="?", answer="It is B.", kind="choice", options=("left", "right"), gold="B")
QWEN3 = registry.make("notations", "qwen3-vl", {}, "test")


def truth(turn: Turn, form: str = "reason", notation: str = "qwen3-vl") -> str:
    made = registry.make("notations", notation, {}, "test")
    return write(turn, IMAGES, notation=notation, written=made.frame, form=form)


def boxes(*rows: list[int]) -> str:
    """Images from 1, then a box in thousandths, which here are pixels."""
    return json.dumps([{"bbox_2d": edges, "image": image} for image, *edges in rows])


def reasoned(answer: str) -> str:
    return f"<think>It lies in the second image.</think>\n<answer>{answer}</answer>"


GOLD = truth(ONE)
RIGHT = reasoned(boxes([2, 100, 100, 300, 300]))
# IoU 200 * 100 / 60000 = 1/3, and 200 * 180 / (80000 - 36000) = 9/11
THIRD = reasoned(boxes([2, 100, 200, 300, 400]))
MOST = reasoned(boxes([2, 100, 120, 300, 320]))
ELSEWHERE = reasoned(boxes([1, 100, 100, 300, 300]))
TEXTS = [RIGHT, THIRD, MOST, ELSEWHERE, reasoned("[]"), boxes([2, 100, 100, 300, 300]), "", "x"]


def verl_naive(rows: list[dict], function) -> tuple[list[float], dict[str, np.ndarray]]:
    """`NaiveRewardManager.run_single` and the columns that veRL makes of its results."""

    def single(row: dict) -> dict:
        extra_info = row.get("extra_info", {})
        extra_info["num_turns"] = None
        extra_info["rollout_reward_scores"] = {}
        result = function(
            data_source=row["data_source"],
            solution_str=row["response"],
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info=extra_info,
            **row.get("router", {}),
        )
        score = result["score"] if isinstance(result, dict) else result
        return {"reward_score": score, "reward_extra_info": dict(result)}

    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(single, rows))
    infos = [output["reward_extra_info"] for output in outputs]
    columns = {key: np.array([info[key] for info in infos]) for key in infos[0]}
    return [output["reward_score"] for output in outputs], columns


def easyr1_manager(path: Path, name: str, kwargs: dict):
    """`AutoRewardManager.__init__`: the file is run as a module of another name."""
    spec = importlib.util.spec_from_file_location("custom_reward_fn", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_reward_fn"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["custom_reward_fn"]
    assert module.REWARD_TYPE == "batch" and module.REWARD_NAME
    return partial(getattr(module, name), **kwargs)


def easyr1_batch(function, responses: list[str], ground_truths: np.ndarray):
    """`BatchFunctionRewardManager.compute_reward`, and the mean that is logged of each key."""
    scores = function(
        [
            {"response": response, "response_length": 12, "ground_truth": ground_truths[i]}
            for i, response in enumerate(responses)
        ]
    )
    metrics = defaultdict(list)
    for score in scores:
        for key, value in score.items():
            metrics[key].append(value)
    return [score["overall"] for score in scores], {k: np.mean(v) for k, v in metrics.items()}


def trl_rewards(functions: list, completions: list, columns: dict[str, list]) -> np.ndarray:
    """`GRPOTrainer._calculate_rewards`; None becomes NaN."""
    inputs = [
        {"prompt": "p", **{key: values[i] for key, values in columns.items()}}
        for i in range(len(completions))
    ]
    keys = [key for key in inputs[0] if key not in ["prompt", "completion", "completion_ids"]]
    reward_kwargs = {key: [example[key] for example in inputs] for key in keys}
    reward_kwargs["trainer_state"] = object()
    table = np.zeros((len(inputs), len(functions)))
    for i, function in enumerate(functions):
        assert function.__name__.startswith("grounding_")
        found = function(
            prompts=["p"] * len(inputs),
            completions=completions,
            completion_ids=[[1, 2]] * len(inputs),
            **reward_kwargs,
        )
        table[:, i] = [math.nan if value is None else value for value in found]
    return table


def test_verl_gets_a_score_and_columns_of_the_same_keys():
    rows = [
        {
            "data_source": "mgdata",
            "response": text,
            "reward_model": {"style": "rule", "ground_truth": GOLD},
            "extra_info": {"index": i, "split": "train", "array": np.zeros(3)},
            "router": {"reward_router_address": "x", "reward_model_tokenizer": None},
        }
        for i, text in enumerate([*TEXTS, None])
    ]
    scores, columns = verl_naive(rows, compute_score)
    assert scores[0] == 1.0 and scores[-1] == scores[-2] == 0.0
    assert scores == [judge(text, GOLD).score for text in [*TEXTS, None]]
    for key, column in columns.items():
        assert (column.dtype.kind == "U") == (key == "reason"), key
    assert columns["acc"].tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0]
    assert {*columns["reason"]} <= {"", *REASONS}


def test_verl_passes_settings_as_its_configuration_has_them():
    kept = {"settings": UserDict(preset="leap", format=0.0, ends=UserListLike(["<end>"]))}
    call = partial(lambda raw, extra, **kwargs: raw(**{**kwargs, **extra}), compute_score, kept)
    found = call(data_source="d", solution_str=THIRD + "<end>", ground_truth=GOLD, extra_info=None)
    assert found["score"] == pytest.approx(1 / 3)
    with pytest.raises(TypeError, match="box: give it within settings"):
        compute_score("d", RIGHT, GOLD, None, box=1.0)


class UserListLike(list):
    """A list of a kind of its own, as a configuration has them."""


def test_easyr1_loads_the_file_and_rewards_a_batch_or_one():
    path = Path(rewards.__file__)
    call = easyr1_manager(path, "easyr1_score", {"settings": {"preset": "threshold"}})
    gold = np.array([GOLD] * len(TEXTS), dtype=object)
    overall, means = easyr1_batch(call, TEXTS, gold)
    assert overall == [judge(text, GOLD, "threshold").score for text in TEXTS]
    assert {"overall", "format", "accuracy"} <= {*means}
    assert means["accuracy"] == 2 / 8
    one = call({"response": RIGHT, "response_length": 3, "ground_truth": np.str_(GOLD)})
    assert one["overall"] == 1.0


@pytest.mark.parametrize("wrap", ["text", "messages", "parts", "tools"])
def test_trl_gets_a_number_for_each_completion_of_text_or_messages(wrap):
    forms = {
        "text": lambda text: text,
        "messages": lambda text: [{"role": "assistant", "content": text}],
        "parts": lambda text: [{"role": "assistant", "content": [{"type": "text", "text": text}]}],
        "tools": lambda text: [{"role": "assistant", "content": None}, {"role": "tool"},
                               {"role": "assistant", "content": text}],
    }  # fmt: skip
    completions = [forms[wrap](text) for text in TEXTS]
    gold = [GOLD] * len(TEXTS)
    functions = [grounding_reward, trl_reward("leap", part="box"), trl_reward(part="format")]
    found = trl_rewards(functions, completions, {"ground_truth": gold, "text": ["t"] * len(TEXTS)})
    assert found[:, 0].tolist() == [judge(text, GOLD).score for text in TEXTS]
    assert found[:4, 1].tolist() == pytest.approx([1, 1 / 3, 9 / 11, 0])
    assert found[:, 2].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_trl_leaves_out_a_row_without_a_ground_truth():
    found = trl_rewards([trl_reward(column="solution")], [RIGHT, RIGHT], {"solution": [None, GOLD]})
    assert math.isnan(found[0, 0]) and found[1, 0] == 1.0
    assert grounding_reward([[{"role": "assistant", "content": None}], []],
                            ground_truth=np.array([GOLD, GOLD])) == [0.0, 0.0]  # fmt: skip


def test_trl_hears_of_a_missing_column_and_an_unknown_part():
    with pytest.raises(ValueError, match="no column 'ground_truth'"):
        grounding_reward([RIGHT], solution=[GOLD])
    with pytest.raises(ValueError, match="no part 'speed'"):
        trl_reward(part="speed")


ANY = st.one_of(
    st.text(max_size=300),
    st.text('<>/thinkanswer {}[]0123,":-eNaIfty.', max_size=300),
    st.lists(st.sampled_from([RIGHT, "<think>", "</answer>", "[", '{"bbox_2d"', "NaN", "1e999",
                              "9" * 5000, "\ud800", "\x00", "[" * 9999]), max_size=6).map("".join),
)  # fmt: skip


@given(text=ANY, name=st.sampled_from(sorted(PRESETS)),
       notation=st.sampled_from(sorted(registry.names("notations"))),
       turn=st.sampled_from([ONE, MANY, NONE, CHOICE]))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_text_is_an_error_and_every_reward_is_a_number(text, name, notation, turn):
    found = judge(text, truth(turn, notation=notation), name)
    assert math.isfinite(found.score) and found.score >= 0
    assert found == judge(text, truth(turn, notation=notation), name)
    assert found.reason in {"", *REASONS}
    if name in ("default", "threshold"):
        assert found.score <= 1
    assert all(math.isfinite(getattr(found, f)) for f in Parts.__struct_fields__ if f != "reason")


@pytest.mark.parametrize("said", [None, b"\xff", 7, [], {}, [None], float("nan"), np.array(["x"])])
def test_what_is_no_text_gets_nothing(said):
    assert judge(said, GOLD).score == 0.0


def test_thousands_of_boxes_are_judged_in_time():
    row = [2, 100, 100, 300, 300]
    start = time.process_time()
    found = judge(reasoned(boxes(*[row] * 5000)), GOLD)
    assert found.score < 0.2 and time.process_time() - start < 60


@pytest.mark.parametrize(
    ("gold", "told"),
    [
        ("3", "cannot be read"),
        (None, "JSON text, found NoneType"),
        (GOLD.replace("qwen3-vl", "qwen9"), "qwen9"),
        (GOLD.replace("300,300", "300,3000"), "not a box"),
        (GOLD.replace("0-1000", "0-1000 colour=red"), "colour: unknown key"),
    ],
)
def test_a_ground_truth_that_is_none_is_an_error_with_the_reason(gold, told):
    with pytest.raises(ValueError, match=told):
        compute_score("d", RIGHT, gold, None)


def test_a_ground_truth_may_come_as_object_bytes_or_array():
    for gold in (json.loads(GOLD), GOLD.encode(), np.array(GOLD, dtype=object), np.str_(GOLD)):
        assert judge(RIGHT, gold).score == 1.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"boks": 1}, "boks"),
        ({"box": -1}, "box"),
        ({"low": 0.6, "high": 0.4}, "low is at most high"),
        ({"format": 0, "image": 0, "box": 0, "text": 0}, "not all 0"),
        ({"box": float("inf")}, "finite"),
        ({"preset": "best"}, "default, threshold, mg-thinker, leap"),
        ("best", "no preset 'best'"),
    ],
)
def test_settings_that_make_no_reward_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        judge(RIGHT, GOLD, wrong)


def test_settings_are_plain_fields():
    for terms in PRESETS.values():
        assert msgspec.convert(msgspec.to_builtins(terms), Terms) == terms


def test_many_threads_get_the_same_rewards_as_one():
    work = [(text, truth(turn)) for text in TEXTS for turn in (ONE, MANY, NONE)] * 20
    alone = [judge(*one) for one in work]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: judge(*one), work)) == alone


def test_no_trainer_and_no_engine_is_loaded():
    code = (
        "import sys, mgdata.rewards as r\n"
        f"assert r.judge({RIGHT!r}, {GOLD!r}).score == 1.0\n"
        "print(sorted({'ray','torch','datasets','transformers','vllm','PIL','cv2','verl','trl'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
