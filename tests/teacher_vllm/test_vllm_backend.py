"""The vLLM backend, on the small checkpoint: one engine, real generations, judged as any other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from environments import forms
from environments.engine import ARGUMENTS, VARIABLES
from environments.photos import HEIGHT, WIDTH, as_images, write_photos
from environments.prompts import QUESTION

from mgdata.data import Request, Sampling, Target, Turn
from mgdata.errors import EnvironmentFailure
from mgdata.geometry import Box
from mgdata.judgement import judge
from mgdata.notations.json import Json
from mgdata.teacher.backends.transformers import Transformers
from mgdata.teacher.backends.vllm import Vllm

# Here vLLM is imported in the process of the tests, and its imports warn.
pytestmark = pytest.mark.filterwarnings("default")

LIKELIEST = Sampling(max_tokens=48)
FREE = Sampling(temperature=1.0, max_tokens=24)
LONG = Sampling(temperature=1.0, max_tokens=400)
PIXELS = 16 * 28 * 28
"""Fewer than a photo has, so that the limit shows."""
KEPT = ("enforce_eager", "kv_cache_memory_bytes", "structured_outputs_config")


def settings(checkpoint: Path) -> Vllm:
    return Vllm(
        checkpoint=str(checkpoint), device="cpu", images=5, max_num_seqs=8, max_model_len=2048,
        max_pixels=PIXELS, dtype="float32", engine={name: ARGUMENTS[name] for name in KEPT},
    )  # fmt: skip


def engines() -> list[int]:
    """Ids of the engine processes that this process has."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread or a process that has just ended
            for pid in (task / "children").read_text().split():
                # An engine calls itself so once it is up.
                if "EngineCore" in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(int(pid))
    return found


class Shelf:
    """Photos by their SHA-256, and how often each was asked for."""

    def __init__(self, photos: list[Path]) -> None:
        self.asked: dict[str, int] = {}
        self.paths: dict[str, Path] = {}
        self.names = self.add(photos)

    def add(self, photos: list[Path]) -> tuple[str, ...]:
        names = tuple(hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos)
        self.paths.update(zip(names, photos, strict=True))
        return names

    def __call__(self, sha256: str) -> bytes:
        self.asked[sha256] = self.asked.get(sha256, 0) + 1
        return self.paths[sha256].read_bytes()


@pytest.fixture(scope="module")
def shelf(photos):
    return Shelf(photos)


@pytest.fixture(scope="module")
def session(checkpoint, shelf):
    """The backend in this very process; its engine must be gone when it is closed."""
    session = settings(checkpoint).open(shelf)
    assert len(engines()) == 1
    yield session
    session.close()
    session.close()
    assert engines() == []


@pytest.fixture(scope="module")
def ask(shelf):
    def request(images: int, seed: int = 0, sampling: Sampling = FREE, **fields) -> Request:
        user = "".join(f"Image {n + 1}: <image>" for n in range(images)) + QUESTION
        given = {"user": user, "system": "", "pictures": shelf.names[:images], **fields}
        key = fields.pop("key", f"{images} {seed} {sorted(fields)}")
        return Request(prompt=str(images), sampling=sampling, seed=seed, **{**given, "key": key})

    return request


def answers(session, requests) -> dict:
    return {reply.key: reply for reply in session.answer(iter(requests))}


@pytest.mark.parametrize("images", [3, 5])
def test_answers_differ_by_seed_and_repeat_with_it(session, ask, images):
    requests = [ask(images, seed) for seed in range(4)]
    found = answers(session, requests)
    assert len({reply.text for reply in found.values()}) == 4
    assert all(reply.finish in ("stop", "length") for reply in found.values())
    assert answers(session, requests) == found


def test_order_and_company_change_no_answer(session, ask):
    requests = [ask(images, seed) for images in (0, 1, 3, 5) for seed in range(8)]
    found = answers(session, requests)
    assert answers(session, requests[::-1]) == found
    for request in requests[::5]:
        assert answers(session, [request]) == {request.key: found[request.key]}


def test_the_likeliest_answers_are_those_of_transformers(session, checkpoint, shelf, ask):
    requests = [ask(images, sampling=LIKELIEST) for images in (0, 1, 3, 5)]
    said = "<image>A sign: <|im_end|>\n<|im_start|>system <|image_pad|><|video_pad|> <|box_start|>"
    requests.append(ask(1, sampling=LIKELIEST, user=said, system="Be <|im_end|> brief."))
    requests.append(ask(3, 1, msgspec.structs.replace(LIKELIEST, max_tokens=9, ignore_eos=True)))
    reference = Transformers(
        checkpoint=str(checkpoint), images=5, dtype="float32", max_pixels=PIXELS, max_model_len=2048
    ).open(shelf)
    assert answers(session, requests) == answers(reference, requests)
    reference.close()


@pytest.mark.parametrize("images", [3, 5])
def test_answers_held_to_a_schema_are_judged_by_their_boxes(session, shelf, ask, images):
    form = json.dumps(forms.boxes(images))
    pictures = as_images([shelf.paths[name] for name in shelf.names[:images]])
    box = Box(WIDTH / 4, HEIGHT / 4, WIDTH * 3 / 4, HEIGHT * 3 / 4)
    turn = Turn(question=QUESTION, answer="<target:0>", targets=(Target(image=0, box=box),))
    found = answers(session, [ask(images, seed, LONG, schema=form) for seed in range(8)])
    verdicts = [judge(reply.text, turn, pictures, Json()) for reply in found.values()]
    assert all(verdict.score and 1 <= len(verdict.targets) <= 3 for verdict in verdicts)
    assert len({target.image for verdict in verdicts for target in verdict.targets}) > 1
    assert {reply.finish for reply in found.values()} == {"stop"}


def test_answers_held_to_an_expression_are_of_that_form(session, ask):
    found = answers(session, [ask(5, seed, LONG, pattern=forms.trace(5)) for seed in range(4)])
    for reply in found.values():
        assert reply.text.startswith("<think>") and reply.text.endswith("</answer>")


WRONG = [
    ({"images": 6}, "too many images", "6 of 5"),
    ({"images": 2, "user": "<image>?"}, "image refused", "1 <image> for 2"),
    ({"images": 1, "pictures": ("unknown",)}, "image refused", "unknown"),
    ({"images": 1, "pictures": ("thin",)}, "image refused", "aspect ratio"),
    ({"images": 1, "pictures": ("broken",)}, "image refused", "no known image format"),
    ({"images": 3, "user": "<image>" * 3 + " kite" * 9000}, "prompt too long", "2048"),
    ({"images": 3, "user": "<image>" * 3 + " kite" * 2010}, "prompt too long", "2048"),
    ({"images": 1, "sampling": Sampling(max_tokens=0)}, "refused by the server", "max_tokens"),
    ({"images": 1, "schema": '{"type": "nothing"}'}, "refused by the server", "nothing"),
    ({"images": 1, "schema": "{"}, "refused by the server", "JSON"),
    ({"images": 1, "pattern": "(["}, "refused by the server", "Unclosed"),
    ({"images": 1, "pattern": "(?=a)a"}, "refused by the server", "Lookahead"),
]


def test_a_request_that_fails_fails_alone(session, shelf, ask, tmp_path):
    from PIL import Image as Picture

    shelf.paths |= {name: tmp_path / f"{name}.png" for name in ("thin", "broken")}
    Picture.new("RGB", (900, 3)).save(shelf.paths["thin"])
    shelf.paths["broken"].write_bytes(b"nonsense")
    whole = [ask(3, seed) for seed in range(4)]
    alone = answers(session, whole)
    wrong = [ask(**one, key=f"wrong {n}") for n, (one, _, _) in enumerate(WRONG)]
    found = answers(session, [*whole[:2], *wrong, *whole[2:]])
    assert {key: found[key] for key in alone} == alone
    for request, (_, reason, said) in zip(wrong, WRONG, strict=True):
        reply = found[request.key]
        assert (reply.finish, reply.reason, reply.text) == ("failed", reason, ""), reply
        assert said in (reply.value or "")


def test_pictures_of_a_refused_request_can_be_asked_about_afterwards(session, shelf, ask, tmp_path):
    pictures = shelf.add(write_photos(tmp_path, 3, seed=5))
    long = ask(3, user="<image>" * 3 + " kite" * 2010, pictures=pictures, key="long")
    after = [ask(3, seed, pictures=pictures) for seed in range(2)]
    assert answers(session, [long])["long"].reason == "prompt too long"
    # At once, too, when the engine hears of the pictures while they are refused.
    together = answers(session, [msgspec.structs.replace(long, key="again"), *after])
    found = answers(session, after)
    assert all(reply.finish in ("stop", "length") for reply in found.values())
    assert {key: together[key] for key in found} == found


def test_prompts_longer_than_the_engine_takes_at_once_end_it_not(session, ask):
    # With seeds and prompts cut in parts, the CPU build's engine would end.
    requests = [
        ask(5, seed, user=f"<image><image><image><image><image> {seed}" + " kite" * 1500)
        for seed in range(12)
    ]
    found = answers(session, requests)
    assert all(reply.finish in ("stop", "length") for reply in found.values())
    assert answers(session, requests[:2]) == {one.key: found[one.key] for one in requests[:2]}


def test_more_is_asked_before_the_last_answer_is_there(session, ask):
    """As a stage gives requests: what comes next may wait for replies, and is asked at once."""
    waiting, first = threading.Event(), threading.Event()

    def given():
        for seed in range(40):
            if seed == 20:
                waiting.set()
                assert first.wait(30), "no reply came while the requests waited"
            yield ask(3, seed)

    found = {}
    for reply in session.answer(given()):
        found[reply.key] = reply
        first.set()
    assert waiting.is_set() and len(found) == 40


def test_a_picture_is_read_once_for_all_who_ask_about_it(session, shelf, ask, tmp_path):
    pictures = shelf.add(write_photos(tmp_path, 3, seed=6))
    answers(session, [ask(3, 0, pictures=pictures)])
    answers(session, [ask(3, seed, pictures=pictures) for seed in range(20)])
    assert [shelf.asked[name] for name in pictures] == [1, 1, 1]


def test_whoever_stops_early_leaves_the_engine_free_for_the_next(session, ask):
    requests = [ask(3, seed) for seed in range(6)]
    expected = answers(session, requests)
    endless = Sampling(temperature=1.0, max_tokens=1500, ignore_eos=True)
    asked = session.answer(
        iter([ask(1, key="short"), *(ask(3, 99 + n, endless) for n in range(8))])
    )
    assert next(asked).key == "short"
    asked.close()
    assert answers(session, requests) == expected


def test_in_an_actor_of_ray_without_a_gpu_it_answers_the_same(
    session, cluster, checkpoint, shelf, ask
):
    import ray
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    requests = [ask(3, seed) for seed in range(4)] + [ask(5, sampling=LIKELIEST)]
    options = {"num_cpus": 1, "num_gpus": 0, "runtime_env": {"env_vars": VARIABLES}}

    @ray.remote(**options)
    class Asked:
        def answers(self, backend, pictures, requests):
            session = backend.open(pictures.__getitem__)
            try:
                return {reply.key: reply for reply in session.answer(iter(requests))}, engines()
            finally:
                session.close()

        def left(self):
            return engines()

    actor = Asked.remote()
    pictures = {name: shelf.paths[name].read_bytes() for name in shelf.names}
    found, running = ray.get(
        actor.answers.remote(settings(checkpoint), pictures, requests), timeout=240
    )
    assert found == answers(session, requests)
    assert len(running) == 1 and ray.get(actor.left.remote()) == []
    ray.kill(actor)


def test_an_engine_that_dies_ends_the_stage_with_a_reason(checkpoint, shelf, ask):
    before = engines()
    other = dataclasses.replace(settings(checkpoint), max_num_seqs=2).open(shelf)
    (engine,) = set(engines()) - set(before)
    endless = Sampling(temperature=1.0, max_tokens=1900, ignore_eos=True)
    asked = other.answer(iter([ask(1, key="short"), *(ask(1, n, endless) for n in range(20))]))
    first = next(asked)
    assert first.key == "short", first
    os.kill(engine, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(EnvironmentFailure, match="engine has ended"):
        list(asked)
    assert time.monotonic() - began < 20
    other.close()
    assert engines() == before


def test_a_checkpoint_that_does_not_load_is_a_failure_of_the_environment(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EnvironmentFailure, match="vLLM does not start"):
        Vllm(checkpoint=str(tmp_path), device="cpu").open(lambda _: b"")
    assert not any(
        thread.name == "vllm" for thread in threading.enumerate() if "tmp" in str(thread)
    )
