"""From a few samples that a teacher was asked about to the whole recipe: arithmetic, no more.

Every task is taken to go on as its few samples went; the interval says how far these can be trusted
by their number alone, not whether they are like the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from mgdata.data import Flow
from mgdata.recipe import Recipe, apportioned
from mgdata.teachers import Teacher
from mgdata.teaching.pool import wave
from mgdata.trial import PRODUCTS, Part, Product

Z = 1.96
"""Standard deviations either side of the middle that hold 95 % of a normal distribution."""

Place = tuple[Product, str, str]
"""Product, task and split."""


class Interval(NamedTuple):
    """From what to what, with 95 % confidence."""

    low: float
    high: float


class Line(Flow, frozen=True, kw_only=True):
    """What one task costs and gives for one product."""

    product: Product
    task: str
    samples: int
    """Samples that the recipe has for it."""
    asked: int
    """Those that are asked about until there are rows enough."""
    answers: int
    prompt_tokens: int
    tokens: int
    seconds: float
    """Of one session."""
    rows: int
    own: bool
    """False: none of its own samples was asked about, and it is taken to be as the others."""


class Projection(Flow, frozen=True, kw_only=True):
    """What a whole recipe costs and gives."""

    lines: tuple[Line, ...]
    direct: int
    """Rows that do not reason, beside those that do."""
    unknown: tuple[tuple[str, str], ...]
    """Product and task of which nothing is known: no sample of the product was asked about."""

    @property
    def seconds(self) -> float:
        """Of one session, over all lines."""
        return sum(line.seconds for line in self.lines)

    def rows(self, product: Product) -> int:
        """Rows of one product."""
        return sum(line.rows for line in self.lines if line.product == product)


def wilson(hits: float, n: int) -> Interval:
    """Wilson's interval of a share, 95 %: `hits` of `n`; all there is where n is 0.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    if not n:
        return Interval(0.0, 1.0)
    share, more = hits / n, Z * Z / n
    middle, half = share + more / 2, Z * math.sqrt(share * (1 - share) / n + more / n / 4)
    low, high = (middle - half) / (1 + more), (middle + half) / (1 + more)
    return Interval(0.0 if hits <= 0 else low, 1.0 if hits >= n else high)


def taught(parts: Iterable[Part], product: Product) -> Interval:
    """Share of a product's samples that give a row.

    Of samples, not of answers: several answers to one question are alike and tell little more.
    """
    some = [part for part in parts if part.product == product]
    return wilson(sum(part.taught for part in some), sum(part.samples for part in some))


def project(
    recipe: Recipe,
    teacher: Teacher,
    parts: Sequence[Part],
    seconds: Mapping[str, float],
    shares: Mapping[Product, float] | None = None,
) -> Projection:
    """What the recipe costs and gives if all goes as in a trial.

    Args:
        recipe: Whose samples are taken to be all there.
        teacher: Its teacher, with the numbers of rows that it asks for.
        parts: What the trial found.
        seconds: Seconds asking in the trial, by product.
        shares: Share of its samples that give a row, by product, in place of what was found.
    """
    pools = _pools(recipe, teacher)
    quotas = _quotas(teacher, pools)
    lines: list[Line] = []
    unknown: list[tuple[str, str]] = []
    pairs: list[tuple[Product, str]] = [(product, task) for product, task, _ in pools]
    for product, task in dict.fromkeys(pairs):
        own = [p for p in parts if (p.product, p.task) == (product, task)]
        whole = [p for p in parts if p.product == product]
        if not whole:
            unknown.append((product, task))
            continue
        rates = _rates(own or whole, whole, (shares or {}).get(product))
        places = {k: n for k, n in pools.items() if k[:2] == (product, task)}
        asked = {k: _asked(rates, teacher, product, n, quotas[k]) for k, n in places.items()}
        answers = sum(asked.values()) * rates.answers
        lines.append(
            Line(
                product=product,
                task=task,
                samples=sum(places.values()),
                asked=sum(asked.values()),
                answers=round(answers),
                prompt_tokens=round(sum(asked.values()) * rates.prompt_tokens),
                tokens=round(sum(asked.values()) * rates.tokens),
                seconds=answers * _seconds_an_answer(whole, seconds.get(product, 0.0)),
                rows=round(sum(_least(rates.rows * n, quotas[k]) for k, n in asked.items())),
                own=bool(own),
            )
        )
    lines, direct = _beside(recipe, teacher, lines, parts)
    return Projection(lines=tuple(lines), direct=direct, unknown=tuple(unknown))


class _Rates(NamedTuple):
    """What comes of one sample on average."""

    answers: float
    prompt_tokens: float
    tokens: float
    turns: float
    good: float
    """What counts towards the rows that are asked for."""
    rows: float
    taught: float
    """Whether it gives any row."""


def _rates(parts: Sequence[Part], whole: Sequence[Part], share: float | None) -> _Rates:
    """Averages over some parts, the rows as if a `share` of the product's samples gave any."""
    n = sum(part.samples for part in parts)
    totals = (sum(getattr(part, name) for part in parts) for name in _Rates._fields)
    rates = _Rates(*(total / n for total in totals))
    if share is None:
        return rates
    found = sum(part.taught for part in whole) / sum(part.samples for part in whole)
    if not found:
        return rates._replace(good=share, rows=share, taught=share)
    more = share / found
    return rates._replace(
        good=rates.good * more, rows=rates.rows * more, taught=min(rates.taught * more, 1.0)
    )


def _asked(rates: _Rates, teacher: Teacher, product: Product, n: int, quota: int | None) -> int:
    """How many of a task's `n` samples in a split are asked about, wave by wave, as a run does.

    All drafts are; of others as many as rows are missing, which each wave tells better than the
    last; or where some are to be left for direct rows, as many as keeps the proportion.
    """
    cot, awake = teacher.section.cot, 0
    share = cot.share if cot and product == "cot" else 1.0
    if product == "write" or (quota is None and share == 1):
        return n
    expected = 1.0 if cot is None or quota is not None else rates.turns * cot.keep
    while awake < n:
        more = wave(
            awake=awake, good=awake * rates.good, barren=awake * (1 - rates.taught),
            sleeping=n - awake, quota=quota, share=share, expected=expected,
        )  # fmt: skip
        if not more:
            break
        awake = min(n, awake + more)
    return awake


def _least(rows: float, quota: int | None) -> float:
    return rows if quota is None else min(rows, quota)


def _seconds_an_answer(parts: Sequence[Part], seconds: float) -> float:
    answers = sum(part.answers for part in parts)
    return seconds / answers if answers else 0.0


def _pools(recipe: Recipe, teacher: Teacher) -> dict[Place, int]:
    """How many samples the recipe has for each product, by task and split."""
    section, pools = teacher.section, dict[Place, int]()
    for product in PRODUCTS:
        for task, made in recipe.tasks.items():
            for split, n in apportioned(made.samples, recipe.splits).items():
                rl = round(n * section.rl.share) if section.rl else 0
                there = {
                    "cot": n - rl if section.cot and task in teacher.asked else 0,
                    "rl": rl if task in teacher.asked else 0,
                    "write": n if task in teacher.drafts else 0,
                }
                if there[product]:
                    pools[product, task, split] = there[product]
    return pools


def _quotas(teacher: Teacher, pools: Mapping[Place, int]) -> dict[Place, int | None]:
    """Rows asked for, shared out over tasks and splits by their samples, as a run does."""
    section = teacher.section
    quotas: dict[Place, int | None] = dict.fromkeys(pools)
    wanted: list[tuple[int | None, list[Place]]] = [
        (section.cot.rows if section.cot else None, [k for k in pools if k[0] == "cot"]),
        (section.rl.rows if section.rl else None, [k for k in pools if k[0] == "rl"]),
    ]
    for task, rows in (section.write.rows if section.write else {}).items():
        wanted.append((rows, [k for k in pools if k[:2] == ("write", task)]))
    for rows, places in wanted:
        if rows is None or not places:
            continue
        names = {"/".join(place): place for place in sorted(places)}
        total = sum(pools[place] for place in places)
        shares = {name: pools[place] / total for name, place in names.items()}
        quotas |= {names[name]: n for name, n in apportioned(rows, shares).items()}
    return quotas


def _beside(
    recipe: Recipe, teacher: Teacher, lines: list[Line], parts: Sequence[Part]
) -> tuple[list[Line], int]:
    """The lines with rows that reason in proportion, and how many direct ones are beside them.

    Where samples are too few for these, rows that reason are left out, unless the recipe says how
    many it wants.
    """
    cot, rows = teacher.section.cot, sum(line.rows for line in lines if line.product == "cot")
    if not cot or cot.share == 1 or not rows:
        return lines, 0
    mine = [part for part in parts if part.product == "cot"]
    used = rows * sum(part.taught for part in mine) / max(1, sum(part.rows for part in mine))
    there = sum(task.samples for name, task in recipe.tasks.items() if name not in teacher.drafts)
    rl = sum(n for (product, *_), n in _pools(recipe, teacher).items() if product == "rl")
    free, odds = max(0.0, there - rl - used), (1 - cot.share) / cot.share
    kept = rows if cot.rows is not None else min(rows, math.floor(free / odds))
    lines = [
        replace(line, rows=round(line.rows * kept / rows)) if line.product == "cot" else line
        for line in lines
    ]
    return lines, min(round(kept * odds), math.floor(free))
