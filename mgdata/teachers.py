"""The teacher of a recipe: its section checked, its backend and notation made. Knows no stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mgdata import registry
from mgdata.data import Flow
from mgdata.errors import UsageError
from mgdata.plugins import Backend, Builder, Notation
from mgdata.schema import nearest
from mgdata.teacher.asking import model_of
from mgdata.teacher.section import TeacherSection

CONFIGS = ("cot", "direct", "rl")
"""Configurations of a release that are made of samples of all tasks."""
_SHARES = ("none", "one", "many")


class Teacher(Flow, frozen=True, kw_only=True):
    """A teacher with its plug-ins made."""

    section: TeacherSection
    """What the recipe says."""
    backend: Backend
    notation: Notation
    """How it is told to write boxes."""
    notation_name: str
    steps: dict[str, tuple[str, ...]]
    """Steps of reasoning by section of the recipe's tasks, where there are any."""
    asked: frozenset[str]
    """Sections of tasks whose samples it answers."""
    drafts: frozenset[str]
    """Sections of tasks for whose samples it writes questions."""

    @property
    def model(self) -> str:
        """Backend, model and revision, as answers name it."""
        return model_of(self.section.backend, self.backend)


def make_teacher(
    section: TeacherSection,
    builders: Mapping[str, Builder],
    configs: Mapping[str, str],
    notation: tuple[str, dict[str, Any]],
    file: str,
) -> Teacher:
    """The teacher that a recipe's section asks for.

    Args:
        section: The section.
        builders: By section of tasks.
        configs: Configuration of the release of each section of tasks.
        notation: Name and settings of the release's, for where the section names none.
        file: The recipe's, for messages.

    Raises:
        UsageError: a wrong name or setting, or parts that do not go together; says which key.
    """
    where = f"{file}: teacher"
    drafts = frozenset(name for name, builder in builders.items() if builder.drafts)
    _check(section, builders, drafts, configs, where)
    name, settings = notation
    if section.notation is not None:
        name, settings = section.notation, section.notation_settings
    beside = Path(file).parent
    registry.find("notations", name, f"{where}.notation", beside)
    if section.cot and section.cot.prompt == "trajectory" and (name, settings) != notation:
        raise UsageError(
            f"{where}.notation: the reasoning of a trajectory names boxes, so teacher and release "
            f"must write them alike: set release.notation to {name}, with the same settings"
        )
    # Before the backend, which may be given it: what is wrong with it is told under its own key.
    made = registry.make("notations", name, settings, f"{where}.notation_with", beside)
    found = registry.find("backends", section.backend, f"{where}.backend", beside)
    given = dict(section.settings)
    if "notation_settings" in registry.settings_of(found) and "notation" not in given:
        given |= {"notation": name, "notation_settings": settings}
    asked = frozenset(_sections(section.tasks, builders)) - drafts if section.tasks else (
        frozenset(builders) - drafts
    )  # fmt: skip
    own = {task: builder.steps for task, builder in builders.items() if builder.steps}
    for key, steps in section.steps.items():
        own |= dict.fromkeys(_sections((key,), builders), steps)
    return Teacher(
        section=section,
        backend=registry.make("backends", section.backend, given, f"{where}.with", beside),
        notation=made,
        notation_name=name,
        steps=own,
        asked=asked if section.cot or section.rl else frozenset(),
        drafts=drafts if section.write else frozenset(),
    )


def _check(
    section: TeacherSection, builders: Mapping[str, Builder], drafts: frozenset[str],
    configs: Mapping[str, str], where: str,
) -> None:  # fmt: skip
    if not (section.cot or section.rl or section.write):
        raise UsageError(f"{where}: nothing is made of its answers: add cot, rl or write")
    for key, names in (("tasks", section.tasks), ("steps", tuple(section.steps))):
        for name in names:
            if not list(_sections((name,), builders)):
                near = nearest(name, list(builders))
                raise UsageError(f"{where}.{key}: there is no task {name!r}{near}")
    if section.notation is None and section.notation_settings:
        raise UsageError(f"{where}.notation_with: there is no notation beside it: add it")
    if section.cot and section.rl and section.rl.share == 1:
        raise UsageError(
            f"{where}.rl.share: 1 leaves no sample for cot: set it under 1, as 0.2, or take out cot"
        )
    for key, product, answers in (
        ("cot", section.cot, section.cot.accept.most if section.cot else 0),
        ("rl", section.rl, section.rl.answers if section.rl else 0),
        ("write", section.write, section.write.questions if section.write else 0),
    ):
        if product and answers > 1 and product.sampling.temperature == 0:
            raise UsageError(
                f"{where}.{key}.sampling.temperature: at 0 all answers to one question are the "
                "same, and several are asked for: set it over 0, as 0.7"
            )
    if section.write and not drafts:
        raise UsageError(f"{where}.write: no task makes drafts: add one, as free_form")
    if drafts and not section.write:
        raise UsageError(f"{where}: {min(drafts)} makes drafts to write about: add write: {{}}")
    if section.write:
        for name in section.write.rows:
            if name not in drafts:
                near = nearest(name, sorted(drafts))
                raise UsageError(f"{where}.write.rows: {name!r} makes no drafts{near}")
    for name in sorted(drafts):
        if configs[name] in CONFIGS:
            raise UsageError(f"{where}: tasks.{name} goes to {configs[name]!r}, whose rows come "
                             "from answers: set another config for it")  # fmt: skip


def _sections(names: Iterable[str], builders: Mapping[str, Builder]) -> Iterable[str]:
    """The sections with these names; a task with shares stands for a section each."""
    for name in names:
        yield from (s for s in (name, *(f"{name}-{share}" for share in _SHARES)) if s in builders)
