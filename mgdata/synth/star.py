"""Writes STAR: rooms in which somebody takes a thing, carries it and puts it down, and questions.

    ROOT/STAR_{train,val}.json
    ROOT/object_classes.txt    relationship_classes.txt    action_classes.txt
    ROOT/frames/<video>.mp4/000001.png      the annotated frames only, as the dump tool keeps them

The last fifth of the videos goes to `val`. In every other video a second thing is taken after. As
in Action Genome, a frame lists only what an action under way is about: a thing that rests before it
is taken and after it was put down has boxes near that action only. A box is null while its thing is
hidden behind the pillar or out of the picture, and now and then though it shows; the person
detector fails now and then. In every third video another thing of the same class lies there that
nobody touches and nothing mentions. A thing never leaves the hand that carries it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream, digest
from mgdata.synth.backdrop import ground, pillar
from mgdata.synth.camera import Camera, Job
from mgdata.synth.drawing import Actor, Pillar, Placement, Scene, film
from mgdata.synth.household import FURNITURE, THINGS, carried, standing
from mgdata.synth.sprites import COLOURS, PHASES, walker

Floats = NDArray[np.float64]

CLASSES = (
    "person", "broom", "picture", "closet/cabinet", "blanket", "window", "table", "paper/notebook",
    "refrigerator", "pillow", "cup/glass/bottle", "shelf", "shoe", "medicine", "phone/camera",
    "box", "sandwich", "book", "bed", "clothes", "mirror", "sofa/couch", "floor", "bag", "dish",
    "laptop", "door", "towel", "food", "chair", "doorknob", "doorway", "groceries", "hands",
    "light", "vacuum", "television",
)  # fmt: skip
"""Action Genome's classes; a code is `o` and the place in this list."""
_ACTIONS = {"bag": 16, "book": 22, "box": 33, "cup/glass/bottle": 83, "dish": 92, "laptop": 39,
            "pillow": 61, "shoe": 42}  # fmt: skip
"""Number of the action that puts each thing somewhere; the next one takes it."""
_RELATIONS = ("holding", "not_contacting", "touching")
_STEP, _RATE = 10, 24
"""Frames of the video from one annotated frame to the next, and frames a second."""
_PIECE = 0.15
"""Share of a thing that must show for its box to be drawn."""
_PERSON = "person"


@dataclass(frozen=True)
class Errand:
    """One thing that is taken at one time and put down at another, in annotated frames."""

    thing: str
    taken: float
    put: float


@dataclass(frozen=True)
class Story:
    """What happens in a video."""

    scene: Scene
    errands: tuple[Errand, ...]
    furniture: tuple[str, str]


def write(out: Path, camera: Camera) -> int:
    """Write the videos and their questions; how often an annotated thing does not show."""
    job, absent = camera.job, 0
    questions: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    for clip in camera.clips():
        rng = Stream("synth", "star", str(job.seed), str(clip))
        split = "train" if clip < job.clips - job.held_out else "val"
        name = digest("star", str(job.seed), str(clip))[:5].upper()
        told = story(rng, clip, job)
        shown = _shoot(out / "frames" / f"{name}.mp4", told.scene, camera)
        frames, hidden = _situations(told, shown, rng)
        absent += hidden
        for kind, question, answer, start, end in _asked(told):
            there = {f: frames[f] for f in frames if start <= int(f) / _RATE <= end}
            id_ = f"{kind}_{len(questions[split])}"
            wrong = rng.sample([thing for thing in THINGS if f" {thing}." not in answer], 3)
            entry = _entry(id_, name, question, answer, wrong)
            questions[split].append({**entry, "start": start, "end": end, "situations": there})
    for split, entries in questions.items():
        (out / f"STAR_{split}.json").write_text(json.dumps(entries))
    _lists(out)
    return absent


def number(t: int) -> int:
    """Number of annotated frame `t` in its video, from 1."""
    return 1 + _STEP * t


def story(rng: Stream, clip: int, job: Job) -> Story:
    """A room, somebody in it, one or two errands from one piece of furniture to the other."""
    last = max(job.frames - 1, 1)
    two = clip % 2 == 1
    things = rng.sample(list(THINGS), 1 + two)
    times = (0.14, 0.42, 0.52, 0.84) if two else (0.28, 0.7)
    errands = tuple(
        Errand(thing, times[2 * i] * last, times[2 * i + 1] * last)
        for i, thing in enumerate(things)
    )
    left, right = rng.sample(list(FURNITURE), 2)
    return Story(_scene(rng, clip, job, errands, (left, right)), errands, (left, right))


def _scene(
    rng: Stream, clip: int, job: Job, errands: tuple[Errand, ...], furniture: tuple[str, str]
) -> Scene:
    width, height = job.size
    sides = [0.2 * width, 0.8 * width]
    if rng.below(2):
        sides.reverse()
    x = _walk(rng, errands, sides, job)
    desk, across = 0.66 * height, 0.17 * min(job.size)
    actors = [_somebody(rng, x, job)]
    for name, middle in zip(furniture, sides, strict=True):
        sprite = standing(name, rng.below(3), 0.3 * width, 0.32 * height)
        actors.append(_still(name, "wood", sprite, middle, desk + 0.16 * height, job))
    colours = rng.sample(list(COLOURS), 3)
    if clip % 3 == 2:
        sprite = carried(errands[0].thing, colours[2], across)
        actors.append(_still("bystander", colours[2], sprite, 0.42 * width, 0.92 * height, job))
    back = np.gradient(x) < 0 if job.frames > 1 else np.zeros(1, np.bool_)
    hand = x + np.where(back, -1, 1) * 0.13 * height
    for i, errand in enumerate(errands):
        rest = sides[i % 2] + 0.05 * width, desk - across / 2
        goal = sides[(i + 1) % 2] - (0.06 * width if i else 0.0), desk - across / 2
        path = _carried(errand, rest, goal, hand, 0.53 * height)
        sprite = carried(errand.thing, colours[i], across)
        actors.append(Actor(errand.thing, errand.thing, colours[i], (sprite,), path))
    post = pillar(rng, round(0.14 * width), height)
    return Scene(
        size=job.size,
        backdrop=ground(rng, job.size, "plaza"),
        grain=1.0,
        pan=np.zeros((job.frames, 2), np.int64),
        actors=tuple(actors),
        pillar=Pillar(post, round(width / 2 - post.shape[1] / 2)) if rng.below(2) else None,
    )


def _walk(rng: Stream, errands: tuple[Errand, ...], sides: list[float], job: Job) -> Floats:
    """Columns of whoever does the errands: comes, goes to and fro, and perhaps leaves."""
    width, last = job.size[0], float(job.frames - 1)
    begin = -0.2 * width if sides[0] < sides[1] else 1.2 * width
    knots = [(-1.0, begin if rng.below(2) else 0.5 * width)]
    for i, errand in enumerate(errands):
        knots += [(errand.taken, sides[i % 2]), (errand.put, sides[(i + 1) % 2])]
    there = knots[-1][1]
    knots.append(
        (last + 1.0, rng.choice((there, 0.5 * width, there + (there - 0.5 * width) * 1.6)))
    )
    times, columns = zip(*knots, strict=True)
    return np.interp(np.arange(job.frames), times, columns)


def _carried(
    errand: Errand,
    rest: tuple[float, float],
    goal: tuple[float, float],
    hand: Floats,
    high: float,
) -> Floats:
    """Where a thing is: at rest until it is taken, then in the hand, then where it was put."""
    t = np.arange(len(hand))
    held = (t > errand.taken) & (t < errand.put)
    path = np.where((t <= errand.taken)[:, None], np.array(rest), np.array(goal))
    path[held] = np.stack([hand[held], np.full(int(held.sum()), high)], axis=1)
    return path


def _somebody(rng: Stream, x: Floats, job: Job) -> Actor:
    tall, looks = 0.66 * job.size[1], str(rng.below(1 << 62))
    shirt = rng.choice(list(COLOURS))
    return Actor(
        name=_PERSON,
        shape=_PERSON,
        colour=shirt,
        sprites=tuple(walker(shirt, phase, tall, Stream(looks)) for phase in range(PHASES)),
        path=np.stack([x, np.full(len(x), 0.55 * job.size[1])], axis=1),
        mirrored=np.gradient(x) < 0 if len(x) > 1 else np.zeros(1, np.bool_),
    )


def _still(name: str, colour: str, sprite: Any, x: float, y: float, job: Job) -> Actor:
    path = np.repeat(np.array([[x, y]]), job.frames, axis=0)
    return Actor(name, name, colour, (sprite,), path)


def _shoot(folder: Path, scene: Scene, camera: Camera) -> list[dict[str, Placement]]:
    """Write the frames as PNG; what each shows, by name."""
    folder.mkdir(parents=True)
    shown: list[dict[str, Placement]] = []
    for t, (image, placements) in enumerate(film(scene)):
        good, data = cv2.imencode(".png", image)
        if not good:
            raise ValueError(f"PNG encoder refused an image of shape {image.shape}")
        (folder / f"{number(t):06d}.png").write_bytes(data.tobytes())
        camera.images += 1
        camera.bytes += len(data)
        shown.append({placement.name: placement for placement in placements})
    return shown


def _situations(
    told: Story, shown: list[dict[str, Placement]], rng: Stream
) -> tuple[dict[str, dict[str, Any]], int]:
    """What is annotated in every frame, by its name; and how often a listed thing is hidden."""
    found: dict[str, dict[str, Any]] = {}
    hidden = 0
    near = 0.22 * max(len(shown) - 1, 1)
    for t, placements in enumerate(shown):
        listed: list[str] = []
        actions: list[str] = []
        for i, errand in enumerate(told.errands):
            if errand.taken - near <= t <= errand.put + near:
                listed.append(errand.thing)
                actions += _under_way(errand, t, near)
            if abs(t - errand.taken) <= near / 2:
                listed.append(told.furniture[i % 2])
            if abs(t - errand.put) <= near / 2:
                listed.append(told.furniture[(i + 1) % 2])
        listed = list(dict.fromkeys(listed))
        boxes: list[list[float] | None] = []
        labels: list[str] = []
        person = _box(placements[_PERSON])
        if person is not None and rng.below(12):
            boxes.append(person)
            labels.append(_code(_PERSON))
        for name in listed:
            box = _box(placements[name])
            hidden += box is None
            boxes.append(box if rng.below(9) else None)
            labels.append(_code(name))
        codes = [_code(name) for name in listed]
        found[f"{number(t):06d}"] = {
            "rel_pairs": [[_code(_PERSON), code] for code in codes],
            "rel_labels": [f"r{min(i, 2):03d}" for i in range(len(codes))],
            "actions": actions,
            "bbox": boxes,
            "bbox_labels": labels,
        }
    return found, hidden


def _under_way(errand: Errand, t: int, near: float) -> list[str]:
    put = _ACTIONS[errand.thing]
    take = [f"a{put + 1:03d}"] if abs(t - errand.taken) <= near else []
    return take + ([f"a{put:03d}"] if abs(t - errand.put) <= near else [])


def _box(placement: Placement) -> list[float] | None:
    """Corners of what shows, where that is enough to be known by."""
    box = placement.seen
    if box is None or placement.visibility < _PIECE:
        return None
    return [box.x1, box.y1, box.x2, box.y2]


def _asked(told: Story) -> list[tuple[str, str, str, float, float]]:
    """Kind, question, answer, and the seconds it is about."""
    last = told.scene.frames - 1
    near = 0.22 * max(last, 1)
    first = told.errands[0]
    named = f"the {first.thing}"

    def span(start: float, end: float) -> tuple[float, float]:
        low, high = max(round(start), 0), min(round(end), last)
        return number(low) / _RATE, number(high) / _RATE

    taking = span(first.taken - near, first.taken + near)
    putting = span(first.taken + 0.5, first.put + near)
    whole = span(0, last)
    answer = f"The {first.thing}."
    asked = [
        ("Interaction_T1", "Which object was taken by the person?", answer, *taking),
        ("Interaction_T1", "Which object was put down by the person?", answer, *putting),
        ("Interaction_T2", f"What did the person do with {named}?", "Took.", *taking),
        ("Sequence_T3", f"What happened after the person took {named}?",
         f"Put down {named}.", *span(first.taken - near, first.put + near)),
        ("Prediction_T3", "Which object would the person put down next?", answer, *taking),
    ]  # fmt: skip
    for second in told.errands[1:]:
        after = f"Which object did the person take after they put down {named}?"
        asked.append(("Sequence_T1", after, f"The {second.thing}.", *whole))
        before = f"Which object did the person put down before they took the {second.thing}?"
        asked.append(("Sequence_T2", before, answer, *whole))
    return asked


def _entry(id_: str, video: str, question: str, answer: str, wrong: list[str]) -> dict[str, Any]:
    choices = [answer, *(f"The {thing}." for thing in wrong)]
    return {
        "question_id": id_,
        "video_id": video,
        "question": question,
        "answer": answer,
        "question_program": [{"function": "Situations", "value_input": []}],
        "choices": [
            {"choice_id": i, "choice": choice, "choice_program": []}
            for i, choice in enumerate(sorted(choices))
        ],
    }


def _code(name: str) -> str:
    return f"o{CLASSES.index(name):03d}"


def _lists(out: Path) -> None:
    actions = {**{n: f"put a {k} somewhere" for k, n in _ACTIONS.items()},
               **{n + 1: f"take a {k} from somewhere" for k, n in _ACTIONS.items()}}  # fmt: skip
    lists = {
        "object": [f"o{i:03d} {name}" for i, name in enumerate(CLASSES)],
        "relationship": [f"r{i:03d} {name}" for i, name in enumerate(_RELATIONS)],
        "action": [f"a{i:03d} {actions[i]}" for i in sorted(actions)],
    }
    for kind, lines in lists.items():
        (out / f"{kind}_classes.txt").write_text("\n".join(lines))
