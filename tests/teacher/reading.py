"""The table of traces as turns, images and texts, and what every check says of a row."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mgdata import registry
from mgdata.data import Edit, Image, Target, Turn
from mgdata.geometry import Box
from mgdata.judgement import judge
from mgdata.teacher import consistency, language, leaks, thought

TABLE = yaml.safe_load((Path(__file__).parent / "traces.yaml").read_text(encoding="utf-8"))
TRACES: list[dict[str, Any]] = TABLE["traces"]
CHECKS = {
    "format": thought.REASONS,
    "language": language.REASONS,
    "leak": leaks.REASONS,
    "consistency": consistency.REASONS,
}


def targets(rows: list[list[float]], phrase: str | None = None) -> tuple[Target, ...]:
    """Boxes as the table writes them, images from 1."""
    return tuple(
        Target(image=int(image) - 1, box=Box(*map(float, edges)), phrase=phrase)
        for image, *edges in rows
    )


@cache
def scene(name: str) -> tuple[Turn, tuple[Image, ...], Any]:
    """Turn, images and notation of a scene."""
    facts = TABLE["scenes"][name]
    wanted = targets(facts.get("targets", []), facts.get("phrase"))
    marks = targets(facts.get("marks", []))
    images = tuple(
        Image(
            uri=f"{name}:{i}",
            width=width,
            height=height,
            edits=tuple(Edit(kind="mark", box=mark.box) for mark in marks if mark.image == i),
        )
        for i, (width, height) in enumerate(facts["images"])
    )
    turn = Turn(
        question=facts["question"],
        answer=" ".join(f"<target:{i}>" for i in range(len(wanted))) or "None.",
        kind=facts.get("kind", "boxes"),
        regions=targets(facts.get("regions", [])),
        targets=wanted,
        asked=tuple(image - 1 for image in facts.get("asked", [])),
        options=tuple(facts.get("options", ())),
        gold=facts.get("gold", ""),
    )
    notation = registry.make("notations", facts.get("notation", "qwen3-vl"), {}, "test")
    return turn, images, notation


def written(row: dict[str, Any]) -> str:
    """The text of a row, as the teacher gave it."""
    if "text" in row:
        return row["text"]
    return f"<think>\n{row['think']}\n</think>\n<answer>{row['answer']}</answer>"


def objections(row: dict[str, Any]) -> dict[str, str]:
    """What each check objects to in a row, by check. The answer must be one that can be judged."""
    turn, images, notation = scene(row["scene"])
    kind = row.get("kind", "reason")
    try:
        thought_of = thought.read(written(row), kind)
    except thought.FormatError as error:
        return {"format": error.reason}
    verdict = judge(thought_of.answer, turn, images, notation)
    assert verdict.reason is None, verdict.detail
    reasoning = thought_of.reasoning
    found = {
        "language": language.check(reasoning),
        "leak": leaks.check(reasoning, kind=kind, turn=turn, images=images, notation=notation),
        "consistency": consistency.check(
            reasoning,
            answer=thought_of.answer,
            targets=verdict.targets,
            turn=turn,
            images=images,
            notation=notation,
        ),
    }
    for finding in found.values():
        assert finding is None or finding.quote
    return {check: finding.reason for check, finding in found.items() if finding}
