"""Everything that flows: from a picture with regions to a sample with questions and targets.

Frozen msgspec structs (nine times cheaper to make and thrice to decode than slotted dataclasses,
docs/decisions/0001). They hold facts and references, never pixels, and know no file format.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from mgdata.geometry import Box

ROW_FORMAT = 1
"""Version of the rows in every table; raised when a field changes its meaning."""

Shape = Literal["image", "pair", "clip", "views", "set"]
"""A picture; before and after; frames in order; one moment from several cameras; any others."""
Association = Literal["referential", "semantic", "temporal", "spatial"]
Kind = Literal["boxes", "text", "choice", "order", "count"]
Count = Literal["none", "one", "many"]
"""How many targets there are; many is two and more."""
PromptKind = Literal[
    "direct", "reason", "rationalise", "trajectory", "caption", "refine", "write", "verify"
]
"""What a teacher is asked to do; `teacher.prompts` has the words."""
Scalar = str | int | float | bool | None

ALL = "*"
"""In `Record.exhaustive`: every label that its corpus uses anywhere."""


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every class here is: immutable, keyword-only, strict about unknown fields.

    Subclasses repeat `frozen` and `kw_only`, which type checkers do not inherit. Those that there
    are many of are not tracked for cycles (`gc=False`), which such leaves cannot be in.
    """


class Edit(Flow, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One change to an image's pixels. Only an edited image is ever re-encoded.

    Edits are applied in the order upright, convert, crop, mark.
    """

    kind: Literal["upright", "convert", "crop", "mark"]
    """Bakes the EXIF orientation in, makes 8-bit RGB, cuts, or draws a rectangle."""
    box: Box | None = None
    """What is cut or drawn round, in upright pixels of the uncropped image."""
    colour: str = "red"
    """Colour of a drawn mark, by name."""


class Image(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """A reference to one image: where it lies and what is known of it. Never holds pixels."""

    uri: str
    """`<corpus>:<path below its root>`, so that no machine's path reaches a data file."""
    width: int
    """Pixels, of the upright image after its edits."""
    height: int
    """Pixels, of the upright image after its edits."""
    orientation: int = 1
    """EXIF orientation of the stored file, 1 to 8."""
    format: str = ""
    """Encoding of the stored file, lower case: `jpeg`, `png`, `webp`."""
    frame: int | None = None
    """Frame number as its corpus writes it; None for a photo."""
    view: str | None = None
    """Name of the camera, where there are several."""
    bytes: int | None = None
    """Size of the stored file; None until measured."""
    sha256: str | None = None
    """SHA-256 of the stored file; None until measured."""
    edits: tuple[Edit, ...] = ()
    """What is to be done to the pixels; empty means the stored bytes are published untouched."""
    facts: dict[str, Scalar] = {}
    """Columns that further measures added."""


class Region(Flow, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One annotated object in one image of a record."""

    image: int
    """Index into the record's images."""
    box: Box | None
    """None: the annotation says that the object is not visible in this image."""
    label: str
    """Class name in the corpus' own words, lower case."""
    phrase: str | None = None
    """A referring expression, where the corpus has one."""
    track: str | None = None
    """Identity of the object over the images of its record."""
    visibility: float | None = None
    """Visible share, 0 to 1; None where the corpus does not say."""
    clipped: bool = False
    """The annotated box left the image and was cut at its edge."""
    ignore: bool = False
    """The corpus asks not to count this region either way (crowds, distractors)."""


class Expression(Flow, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A text of the corpus with all regions of its record that it refers to: none, one or many.

    Beside `Region.phrase`, which one region bears alone: here a text may have several regions and
    a region several texts, and a text without regions is known to refer to nothing.
    """

    text: str
    """In the corpus' own words, without white space round it."""
    regions: tuple[int, ...] = ()
    """Positions among the record's regions, rising; all that it refers to."""
    label: str | None = None
    """Label of what it names; None where that is not known."""
    form: Literal["phrase", "question"] = "phrase"
    """What it is: a name of things, or a question whose answer they are."""


class Record(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One annotated item of a corpus: a picture, a pair, a clip, a set of views."""

    key: str
    """Unique over all corpora of a run: `<corpus>/<path or id>`."""
    shape: Shape
    """What its images are to each other."""
    unit: str
    """What must not be split: records with equal units go to the same split."""
    images: tuple[Image, ...]
    """In the corpus' order (time, view)."""
    regions: tuple[Region, ...]
    """Sorted by image."""
    license: str
    """SPDX id, or `unknown`, or the corpus' own name for its terms."""
    expressions: tuple[Expression, ...] = ()
    """Texts about its regions, in the corpus' order."""
    exhaustive: tuple[str, ...] = ()
    """Labels of which every instance is annotated; `ALL` alone for all labels of its corpus."""
    absent: tuple[str, ...] = ()
    """Labels known not to be there, beyond what `exhaustive` implies."""
    skipped: dict[str, int] = {}
    """Regions and frames left out, by reason."""


def complete(record: Record, label: str) -> bool:
    """Whether every instance of `label`, a label of the record's corpus, is annotated in it."""
    return ALL in record.exhaustive or label in record.exhaustive


def known_absent(record: Record, label: str) -> bool:
    """Whether `label`, a label of the record's corpus, is known not to be there at all.

    A region to be ignored (a crowd, a group) shows that it is there. A label that nobody looked
    for is not absent.
    """
    if any(region.label == label for region in record.regions):
        return False
    return label in record.absent or complete(record, label)


def count_of(targets: int) -> Count:
    """What a number of targets is called."""
    return "many" if targets > 1 else "one" if targets else "none"


class Drop(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """The only way anything disappears."""

    key: str
    """Record key, image uri or sample id."""
    stage: str
    """The stage that dropped it."""
    reason: str
    """A short reason, the same words for the same cause."""
    value: str | None = None
    """What was found."""


class Target(Flow, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A box in one image: an answer, or a region given in a question."""

    image: int
    """Index into the sample's images."""
    box: Box
    """Pixels of that image as published (upright, after its edits)."""
    phrase: str | None = None
    """What the box shows, in words."""


class Turn(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One question and its answer. Text holds placeholders, never the digits of a box."""

    question: str
    """With `<image:i>` where image i stands and `<region:i>` where a given box is written."""
    answer: str
    """With `<target:i>` where a target's box is written."""
    kind: Kind = "boxes"
    """How an answer is judged: boxes by IoU, the others against `gold`."""
    regions: tuple[Target, ...] = ()
    """Boxes given in the question."""
    targets: tuple[Target, ...] = ()
    """Boxes asked for: none, one or many; sorted by image, then left to right."""
    asked: tuple[int, ...] = ()
    """Images the question asks about; empty means all of them."""
    options: tuple[str, ...] = ()
    """What a `choice` or `order` question offers, in order."""
    gold: str = ""
    """The right answer in its shortest form, for every kind but boxes."""


class Sample(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One conversation over several images: what a row of the release is made from."""

    id: str
    """Sixteen hex digits of what is asked about which pixels; wording does not change it."""
    task: str
    """Name of the recipe's task section."""
    association: Association
    """How its images hang together."""
    split: str
    """Where its units were assigned."""
    images: tuple[Image, ...]
    """In the order the question shows them."""
    turns: tuple[Turn, ...]
    """At least one."""
    records: tuple[str, ...]
    """Keys of the records it was made from."""
    license: str
    """Licences of its records, joined by ` AND `."""


class Sampling(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """How a model draws its answer."""

    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Share of the probability that is drawn from."""
    top_k: int = 0
    """Tokens that are drawn from; 0: all."""
    max_tokens: int = 1024
    """Tokens after which an answer is cut."""
    ignore_eos: bool = False
    """Go on to `max_tokens` whatever the model says, to measure speed."""


class Request(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One answer asked of a model. Equal keys are the same request: one answer serves both."""

    key: str
    """Digest of all that shapes the answer: contents of the pictures, rendered prompt, form, model
    and revision, sampling and seed."""
    prompt: str
    """Digest of the prompt and the pictures' contents alone: requests that share it have the same
    beginning, and are best asked one after the other."""
    system: str
    """What the model is told it is; may be empty."""
    user: str
    """The question, with `<image>` where a picture stands, in order."""
    pictures: tuple[str, ...]
    """SHA-256 of the encoded bytes of each picture, in order."""
    sampling: Sampling
    """How the answer is drawn."""
    seed: int
    """Of this answer: other answers to the same prompt have other seeds."""
    schema: str | None = None
    """JSON Schema that the answer must fit, where the backend can hold it to that."""
    pattern: str | None = None
    """Regular expression that it must match, likewise."""
    sample: Sample | None = None
    """What is asked about, for a backend that is no model; others must not look at it."""
    turn: int = 0
    """Position of the turn that is asked."""
    kind: PromptKind = "direct"
    """Kind of the prompt."""


class Reply(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one request."""

    key: str
    """Its request's."""
    text: str
    """The answer; empty where it failed."""
    finish: Literal["stop", "length", "failed"]
    """The model ended it, it was cut at `max_tokens`, or there is none."""
    reason: str | None = None
    """Why it failed, the same words for the same cause."""
    value: str | None = None
    """What the backend said, of a failure."""
    prompt_tokens: int = 0
    """Tokens of prompt and pictures, as the backend counts them; 0 where it does not say."""
    tokens: int = 0
    """Tokens of the answer."""


class Answer(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One answer of a teacher to one turn. Never changed: it is judged later, and judged anew."""

    sample: str
    """Id of the sample."""
    turn: int
    """Position of the turn."""
    number: int
    """Which of several answers to the same prompt, from 0."""
    kind: PromptKind
    """Kind of the prompt."""
    reply: Reply
    """What was answered."""
    model: str
    """Name and revision of the model, after its backend's: `vllm:Qwen/Qwen2.5-VL-7B@main`."""
    prompt: str
    """Digest of the prompt and the pictures' contents."""
    words: str
    """Digest of the text that the prompt was made from."""
    sampling: Sampling
    """How it was drawn."""
    seed: int
    """With which seed."""


class Trace(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """An answer with the judgement of it."""

    answer: Answer
    """What was judged."""
    accepted: bool
    """Whether it is good enough to learn from."""
    reason: str | None = None
    """Why not, the same words for the same cause."""
    value: str | None = None
    """What was found."""
    reasoning: str = ""
    """What stands before the answer proper."""
    targets: tuple[Target, ...] = ()
    """Boxes of the answer, pixels of the sample's images."""
    scores: dict[str, float] = {}
    """How right it is, by name, whatever the thresholds."""


class Lesson(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One row of a release that a teacher had a part in: a sample, and what is taught with it."""

    id: str
    """Sixteen hex digits: of the sample where all of it is taught, else of what is."""
    config: str
    """Configuration of the release: `cot`, `direct`, `rl`, or the sample's own."""
    sample: Sample
    """Without the turns after the one that is taught."""
    source: str
    """Id of the sample it was made from."""
    form: Literal["direct", "reason"] = "direct"
    """The last answer is bare, or `<think>..</think><answer>..</answer>`."""
    open: bool = False
    """The last question is left unanswered: a model answers it, and a reward judges that."""
    instruction: str = ""
    """What the last question ends with, on a line of its own."""
    reasoning: str = ""
    """What stands before the last answer."""
    pass_rate: float | None = None
    """Share of the answers that were right."""
    answers: int = 0
    """Answers that this is a share of."""
    kind: str = ""
    """Kind of the prompt that the teacher was asked with; empty: it was not."""
    model: str = ""
    """The teacher, as `Answer.model`."""
    words: str = ""
    """Digest of the text that its prompt was made from."""
    iou: float | None = None
    """Mean IoU of the teacher's own boxes; the row's are those of the annotation."""
