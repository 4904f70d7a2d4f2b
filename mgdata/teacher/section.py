"""The recipe's `teacher` section: who answers, what is asked, what is learnt from the answers.

Three products, each a section of its own: `cot` (rows that reason and, in proportion, rows that do
not), `rl` (questions that a model gets right now and then), `write` (free-form questions in place
of drafts). Knows no recipe.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from mgdata.data import Flow, Sampling
from mgdata.teacher.acceptance import Acceptance
from mgdata.teacher.passing import Band
from mgdata.teacher.prompts import Lengths

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Part = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Cot(Flow, frozen=True, kw_only=True):
    """Rows that reason before they answer, and rows of other samples that answer at once."""

    prompt: Literal["reason", "rationalise", "trajectory"] = "reason"
    """`reason` is blind; `rationalise` shows the teacher the answer, which it must not betray;
    `trajectory` tells it what is annotated in all images."""
    rows: _Positive | None = None
    """Most rows that reason, over all tasks and splits; all that are accepted where left out."""
    share: _Part = 1.0
    """Share of rows that reason among these and the direct ones; 1: no direct rows."""
    keep: _Positive = 1
    """Most accepted answers to one turn that become rows."""
    accept: Acceptance = Acceptance()
    """What an answer must be, and how many are asked for."""
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=2048)
    """How answers are drawn."""
    instruction: str | None = None
    """What the question of a row that reasons ends with; mgdata's own words where left out."""


class Rl(Flow, frozen=True, kw_only=True):
    """Questions with their ground truth, for training by rewards."""

    prompt: Literal["direct", "reason"] = "reason"
    """What is asked of the model whose pass rate counts."""
    share: _Part = 1.0
    """Share of each task's samples that is set aside for this; with `cot` beside it, under 1."""
    rows: _Positive | None = None
    """Most rows, over all tasks and splits; all within the band where left out."""
    answers: _Positive = 8
    """Answers to each turn."""
    band: Band = Band()
    """Pass rates of the turns that are taken."""
    iou: _Share = 0.5
    """Least IoU of a box that counts."""
    f1: _Share = 1.0
    """Least F1 of the boxes that count, of an answer that passes."""
    images: bool = True
    """An answer that passes names every image as often as it has targets, and no other."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1024)
    """How answers are drawn: as the trainer will draw them."""
    instruction: str | None = None
    """What the question of a row ends with; mgdata's own words where left out."""

    @property
    def accept(self) -> Acceptance:
        """What passes: format, images and boxes. How it is reasoned is not looked at."""
        return Acceptance(
            iou=self.iou, f1=self.f1, images=self.images, language=None, leaks=False,
            consistency=False, first=self.answers, enough=0, most=self.answers,
        )  # fmt: skip


class Write(Flow, frozen=True, kw_only=True):
    """Free-form questions, written by the teacher in place of a draft's listing."""

    captions: bool = True
    """Have each image described first."""
    refine: bool = True
    """Have each object's name checked against its box and made a phrase first."""
    most_objects: _Positive = 1
    """Most objects that an answer may have."""
    rows: dict[str, _Positive] = msgspec.field(default_factory=dict)
    """Most rows by section of `tasks`; all questions that hold where left out."""
    questions: _Positive = 1
    """Questions written for a group of images; those that hold are rows."""
    shown: bool = True
    """Show the images to the writer; without, it writes from captions and phrases alone."""
    verify: bool = True
    """Have each question checked against the images in a second pass: whether it can be answered,
    by one thing alone, and as the writer says."""
    reasoned: bool = False
    """Publish the writer's explanation as reasoning before the answer."""
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=1024)
    """How questions are drawn; captions, phrases and verdicts are drawn at temperature 0."""


class TeacherSection(Flow, frozen=True, kw_only=True):
    """A multimodal model that answers samples, and what is made of its answers."""

    backend: str
    """How it is reached: a name of `mgdata backends`."""
    settings: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    """The backend's own settings."""
    notation: str | None = None
    """How it is to write boxes; the release's notation where left out."""
    notation_settings: dict[str, Any] = msgspec.field(name="notation_with", default_factory=dict)
    """That notation's own settings."""
    tasks: tuple[str, ...] = ()
    """Sections of `tasks` that it is asked about; all where left out."""
    steps: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Steps of reasoning by section of `tasks`, in place of the builder's or mgdata's own."""
    lengths: Lengths = Lengths()
    """How many words it is asked for."""
    structured: bool = True
    """Hold answers to a form where the notation has one and the backend can."""
    samples: _Positive = 64
    """Samples a shard."""
    cot: Cot | None = None
    """Rows that reason, and direct ones."""
    rl: Rl | None = None
    """Rows to train on by rewards."""
    write: Write | None = None
    """Free-form questions, for sections whose builder makes drafts."""
