"""Free-form questions: what is asked in three rounds about drafts, and the lessons they become.

Describe: captions of images, and phrases for objects. Compose: questions about numbered objects.
Verify: whether each question holds. Each round is an asker of the stage `answer`; `Written` then
makes lessons of what was borne out. What is asked of whom is a function of the draft and of earlier
answers alone, so that every round reads them the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from mgdata.contents import sample_id
from mgdata.data import Answer, Drop, Lesson, Reply, Sample
from mgdata.engine.stage import Worker
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Notation
from mgdata.release.taught import unfit
from mgdata.stages.answer import Wanted
from mgdata.stages.finish import Finish
from mgdata.stages.picked import picked
from mgdata.stages.turns import captions
from mgdata.storage import Store
from mgdata.tables import read_samples
from mgdata.teacher.fact_prompts import caption_prompt, refine_prompt, write_prompt
from mgdata.teacher.forms import Form, reply_form
from mgdata.teacher.listing import Listing, first_places, listing, rivals
from mgdata.teacher.prompts import DEFAULT, Lengths, Prompt, prompt
from mgdata.teacher.replies import ReplyError, read_verdict
from mgdata.teacher.section import Write
from mgdata.teacher.tables import read_answers, write_lessons
from mgdata.teacher.texts import instruction
from mgdata.teacher.written import NAMES, Question, read_written


@dataclass(frozen=True, kw_only=True)
class Describe:
    """Asks for facts: what each image shows, and a phrase for each object of a sample's first turn.

    A shard's payload is `{"picks"}`. Whoever asks the same of the same picture shares the answer.
    An answer's turn is the position of the image (`caption`; of an image that is there twice the
    first), or of the target (`refine`).
    """

    captions: bool
    """Ask for captions."""
    refine: bool
    """Ask for phrases."""
    notation: Notation
    """How the teacher is told boxes."""
    lengths: Lengths = DEFAULT
    formed: bool = True
    """Hold replies to their form."""

    def wanted(self, store: Store, shard: Shard) -> Iterator[Wanted | Drop]:
        """The prompts of a shard, sample by sample."""
        for sample in picked(store, shard.payload["picks"]):
            if self.captions:
                yield from self._captions(sample)
            if self.refine:
                yield from self._phrases(sample)

    def _captions(self, sample: Sample) -> Iterator[Wanted]:
        words = caption_prompt(self.lengths)
        for place in sorted({*first_places(sample.images).values()}):
            image = sample.images[place]
            yield Wanted(sample, place, words, [image], 0, 1, shared=True)

    def _phrases(self, sample: Sample) -> Iterator[Wanted | Drop]:
        held = reply_form("refine") if self.formed else Form()
        for place, target in enumerate(sample.turns[0].targets):
            key = f"{sample.id}/{place}/refine"
            found = _asked(lambda place=place: self._phrase(sample, place), key)
            if isinstance(found, Drop):
                yield found
            else:
                yield Wanted(
                    sample, place, found, [sample.images[target.image]], 0, 1, held, shared=True
                )

    def _phrase(self, sample: Sample, place: int) -> Prompt:
        targets = sample.turns[0].targets
        return refine_prompt(
            targets[place], sample.images[targets[place].image], self.notation,
            rivals=rivals(targets, place), lengths=self.lengths,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Compose:
    """Asks for questions about the objects of drafts.

    A shard's payload is `{"picks", "described"}`: drafts, and the files with answers of `Describe`
    to them; none where neither captions nor phrases are asked for. An object that cannot be asked
    for is not listed, and dropped with its reason.
    """

    write: Write
    notation: Notation
    lengths: Lengths = DEFAULT
    formed: bool = True

    def wanted(self, store: Store, shard: Shard) -> Iterator[Wanted | Drop]:
        """A prompt for each draft with objects in two images or more."""
        for told in _listings(store, shard, self.write):
            sample = told.draft
            for left in told.left_out:
                key = f"{sample.id}/{left.place}/refine"
                yield Drop(key=key, stage="answer", reason=left.reason, value=left.value)
            key = f"{sample.id}/0/write"
            if len({thing.image for thing in told.objects}) < 2:
                value = f"{len(told.objects)} objects in {len(sample.images)} images"
                yield Drop(key=key, stage="answer", reason="too few objects", value=value)
                continue
            found = _asked(lambda told=told: self._prompt(told), key)
            if isinstance(found, Drop):
                yield found
                continue
            held = Form()
            if self.formed:
                held = reply_form("write", len(told.objects), self.write.most_objects)
            shown = sample.images if self.write.shown else ()
            yield Wanted(sample, 0, found, shown, 0, self.write.questions, held)

    def _prompt(self, told: Listing) -> Prompt:
        return write_prompt(
            told.draft.images, told.scenes, self.notation,
            most_objects=self.write.most_objects, shown=self.write.shown, names=NAMES,
            lengths=self.lengths,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Asks whether written questions hold, of those that can be read.

    A shard's payload is `{"picks", "described", "written"}`: as for `Compose`, and the files with
    its answers. An answer's turn is the number of the question.
    """

    write: Write
    notation: Notation
    lengths: Lengths = DEFAULT
    formed: bool = True

    def wanted(self, store: Store, shard: Shard) -> Iterator[Wanted | Drop]:
        """A prompt for each question, asked of the draft in place of its own turn."""
        held = reply_form("verify") if self.formed else Form()
        written = _by_sample(store, shard.payload["written"], "write")
        for told in _listings(store, shard, self.write):
            for answer in written.get(told.draft.id, ()):
                try:
                    question = _read(answer.reply, told, self.write)
                except ReplyError:
                    continue  # `Written` says why
                sample = replace(told.draft, turns=(question.turn,))
                key = f"{sample.id}/{answer.number}/verify"
                found = _asked(lambda sample=sample: self._prompt(sample), key)
                if isinstance(found, Drop):
                    yield found
                else:
                    yield Wanted(sample, answer.number, found, sample.images, 0, 1, held)

    def _prompt(self, sample: Sample) -> Prompt:
        return prompt("verify", sample, 0, self.notation, lengths=self.lengths)


@dataclass(frozen=True, kw_only=True)
class Written:
    """Makes lessons of written questions; asks nothing.

    A shard's payload is `{"picks", "described", "written", "verified", "config"}`: as for `Verify`,
    the files with its answers (none where the recipe asks for no second pass), and the config of
    the release that the lessons are of.
    """

    out: str
    write: Write
    name: str = "teach"

    def open(self) -> Worker:
        """The worker: plain reading."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        for shard in shards:
            finish = Finish(store, shard)
            lessons: list[tuple[int, Lesson]] = []
            drops: list[Drop] = []
            counts = Counter[str]()
            for row, found in self._judged(store, shard):
                task = found.sample.task if isinstance(found, Lesson) else found[0]
                if isinstance(found, Lesson):
                    lessons.append((row, found))
                else:
                    drops.append(found[1])
                reason = "accepted" if isinstance(found, Lesson) else found[1].reason
                counts[f"trace|{task}|write|{reason}"] += 1
            finish.table(
                "lessons", ".parquet", lambda path, lessons=lessons: write_lessons(path, lessons)
            )
            yield finish.entry(len(lessons), counts, drops)

    def _judged(
        self, store: Store, shard: Shard
    ) -> Iterator[tuple[int, Lesson | tuple[str, Drop]]]:
        """Every written question, in order, as a lesson or as its task and why it is none."""
        written = _by_sample(store, shard.payload["written"], "write")
        verdicts = _replies(store, shard.payload.get("verified", ()), "verify")
        rows = _rows(store, shard.payload["picks"])
        for row, told in zip(rows, _listings(store, shard, self.write), strict=True):
            made: set[str] = set()
            for answer in written.get(told.draft.id, ()):
                try:
                    lesson = self._lesson(answer, told, verdicts, made, shard.payload["config"])
                except ReplyError as error:
                    key = f"{answer.sample}/{answer.number}/write"
                    reason, value = error.reason, error.detail or None
                    drop = Drop(key=key, stage=shard.stage, reason=reason, value=value)
                    yield row, (told.draft.task, drop)
                else:
                    made.add(lesson.id)
                    yield row, lesson

    def _lesson(
        self,
        answer: Answer,
        told: Listing,
        verdicts: dict[tuple[str, int], Reply],
        made: set[str],
        config: str,
    ) -> Lesson:
        """The lesson of one written question; raises `ReplyError` where it does not hold."""
        question = _read(answer.reply, told, self.write)
        if self.write.verify:
            read_verdict(verdicts.get((answer.sample, answer.number)))
        name = sample_id(told.draft.images, (question.turn,))
        if name in made:
            raise ReplyError("objects: again", ", ".join(map(str, question.objects)))
        reasoned = self.write.reasoned
        if reasoned and (why := unfit(question.explanation)):
            raise ReplyError("explanation: cannot be a row", why)
        return Lesson(
            id=name,
            config=config,
            sample=replace(told.draft, id=name, turns=(question.turn,)),
            source=told.draft.id,
            form="reason" if reasoned else "direct",
            instruction=instruction("reason") if reasoned else "",
            reasoning=question.explanation if reasoned else "",
            kind="write",
            model=answer.model,
            words=answer.words,
        )


def _read(reply: Reply, told: Listing, write: Write) -> Question:
    return read_written(reply, told, most_objects=write.most_objects, explained=write.reasoned)


def _asked(make: Callable[[], Prompt], key: str) -> Prompt | Drop:
    """A prompt, or that the notation cannot write what it needs."""
    try:
        return make()
    except ValueError as error:
        return Drop(key=key, stage="answer", reason="cannot be asked", value=str(error))


def _listings(store: Store, shard: Shard, write: Write) -> Iterator[Listing]:
    """The shard's drafts with what was answered about their images and objects, in order."""
    described: Sequence[str] = shard.payload.get("described", ())
    told = captions(store, described) if write.captions else {}
    phrases = _replies(store, described, "refine") if write.refine else {}
    for draft in picked(store, shard.payload["picks"]):
        places = first_places(draft.images)
        known = {
            place: told[draft.id, first]
            for place, first in places.items()
            if (draft.id, first) in told
        }
        refined = {
            place: phrases[draft.id, place]
            for place in range(len(draft.turns[0].targets))
            if (draft.id, place) in phrases
        }
        yield listing(draft, known, refined if write.refine else None)


def _by_sample(store: Store, paths: Sequence[str], kind: str) -> dict[str, list[Answer]]:
    """Answers of a kind by sample, in the order of their numbers."""
    found: dict[str, list[Answer]] = {}
    for path in paths:
        for answer in read_answers(store.local(path)):
            if answer.kind == kind:
                found.setdefault(answer.sample, []).append(answer)
    return {name: sorted(some, key=lambda answer: answer.number) for name, some in found.items()}


def _replies(store: Store, paths: Sequence[str], kind: str) -> dict[tuple[str, int], Reply]:
    """Replies of a kind by sample and what it is about."""
    return {
        (sample, answer.turn): answer.reply
        for sample, some in _by_sample(store, paths, kind).items()
        for answer in some
    }


def _rows(store: Store, picks: Any) -> Iterator[int]:
    """Rows of the first records of the picked samples, as their tables have them."""
    for path, rows in picks:
        column = read_samples(store.local(path), ["row"]).column("row")
        for row in rows:
            yield column[row].as_py()
