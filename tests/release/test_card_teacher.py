"""The card's part about the teacher, its features, and the funnel of answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace
from test_card import changed, entry, front

from mgdata import recipe
from mgdata.manifest import Entry
from mgdata.recipe import Loaded
from mgdata.release import statistics
from mgdata.release.card import write_card
from mgdata.release.card_teacher import public
from mgdata.release.front import front_matter
from mgdata.release.funnel import funnel, lines
from mgdata.release.rows import LESSON_SCHEMA, features
from mgdata.storage import Store

TEACHER = {
    "backend": "scripted",
    "with": {"faults": {"offset_box": 0.2}},
    "cot": {"share": 0.75, "rows": 5, "accept": {"iou": 0.6, "gain": {}}},
    "rl": {"share": 0.3, "answers": 4, "band": {"above": 0.1, "below": 0.9}},
}
ENTRIES = (
    entry(
        "cot/train",
        3,
        900,
        images_is_4=3,
        **{
            "words of reasoning_is_100": 1,
            "words of reasoning_is_25": 2,
        },
    ),
    entry("direct/train", 2, 500, images_is_4=2),
    entry("rl/train", 40, 500, images_is_2=40, **{"pass rate_is_0.5": 30, "pass rate_is_0.2": 10}),
)


def stage(name: str, rows: int, drops: dict[str, int] | None = None, **counts: int) -> Entry:
    return Entry(stage=name, name=f"{name}-0", fingerprint="f", rows=rows, files=(),
                 drops=drops or {}, counts=counts)  # fmt: skip


TEACHING = (
    stage("answer", 2300, requests=2250, tokens=900_000, **{
        "prompt tokens": 5_000_000, "known before": 50, "kind=reason": 2000, "kind=direct": 300,
    }),
    stage("judge", 1300, {"wrong: box": 200, "reply: timeout": 40, "leak: hint": 60}, **{
        "trace|tracking|reason|accepted": 700,
        "trace|tracking|reason|wrong: box": 200,
        "trace|tracking|reason|reply: timeout": 40,
        "trace|tracking|reason|leak: hint": 60,
        "trace|tracking|direct|accepted": 300,
    }),
    stage("judge", 1000, {"wrong: box": 300, "house rule": 100}, **{
        "trace|group|reason|accepted": 600,
        "trace|group|reason|wrong: box": 300,
        "trace|group|reason|house rule": 100,
    }),
)  # fmt: skip


@pytest.fixture(scope="module")
def taught(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return with_teacher(made, tmp_path_factory.mktemp("taught"), **TEACHER)


def with_teacher(made: Any, folder: Path, **section: Any) -> Loaded:
    document = yaml.safe_load(Path(made.loaded.path).read_text()) | {"teacher": section}
    file = folder / "taught.yaml"
    file.write_text(yaml.safe_dump(document))
    return recipe.load(file, made.roots)


def card(folder: Path, loaded: Loaded, teaching: Sequence[Entry] = TEACHING,
         entries: Sequence[Entry] = ENTRIES) -> str:  # fmt: skip
    write_card(Store(str(folder)), loaded, entries, (), (), teaching=teaching)
    return (folder / "release" / "README.md").read_text()


def teachers_part(text: str) -> str:
    return re.split(r"^## ", text.partition("## The teacher\n")[2], maxsplit=1, flags=re.M)[0]


def table(text: str, head: str) -> dict[str, list[str]]:
    """The cells of the one table whose first heading is `head`, by the first of each row."""
    [found] = re.findall(rf"^(\| {re.escape(head)} \|.*?)(?:\n\n|\Z)", text, re.M | re.S)
    rows = [[cell.strip() for cell in line.split(" | ")] for line in found.splitlines()]
    return {row[0].removeprefix("| "): [c.removesuffix(" |") for c in row[1:]] for row in rows}


def test_a_teacher_that_is_no_model_is_told_on_top_and_in_its_section(
    taught: Loaded, tmp_path: Path
) -> None:
    text = card(tmp_path, taught)
    after_title = text.split("\n# ", 1)[1].split("\n", 2)[2]
    assert after_title.startswith("> **No model answered.**")
    assert "Do not train" in after_title.splitlines()[0]
    assert "> **No model answered.**" in teachers_part(text)
    assert "simulated" in front(text)["tags"]


def test_a_model_gets_no_such_warning(
    taught: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert taught.teacher
    monkeypatch.setattr(type(taught.teacher.backend), "simulated", False)
    text = card(tmp_path, taught)
    assert "No model answered" not in text
    assert "simulated" not in front(text)["tags"]
    assert teachers_part(text)


def test_a_recipe_without_a_teacher_has_no_word_of_one(made: Any, tmp_path: Path) -> None:
    text = card(tmp_path, made.loaded, ())
    assert "teacher" not in text.lower().replace("mgdata.teacher", "")
    assert "simulated" not in text


def test_it_says_who_answered_what(taught: Loaded, tmp_path: Path) -> None:
    told = teachers_part(card(tmp_path, taught))
    assert taught.teacher
    assert f"| model and revision | `{taught.teacher.model}` |" in told
    assert "| reached through | the backend `scripted` |" in told
    assert "| boxes in its answers | `qwen2-vl` |" in told
    assert "`reason` (2,000), `direct` (300)" in told
    assert re.search(r"version \d+, digest `[0-9a-f]{16}`", told)
    assert "2,250 requests; 5,000,000 tokens read, 900,000 written" in told
    drawing = table(told, "for")
    assert drawing["`cot`"] == ["reason, direct", "0.7", "0.95", "all", "2,048", "2 to 8"]
    assert drawing["`rl`"] == ["reason", "1", "1", "all", "1,024", "4"]


def test_every_answer_is_accounted_for_by_prompt_and_by_task(
    taught: Loaded, tmp_path: Path
) -> None:
    told = teachers_part(card(tmp_path, taught))
    by_task = table(told, "by task")
    assert by_task["by task"] == ["group", "tracking", "all"]
    assert by_task["**answers asked for**"] == ["1,000", "1,300", "2,300"]
    assert by_task["failed: timeout"] == ["0", "40", "40"]
    assert by_task["rejected: wrong: box"] == ["300", "200", "500"]
    assert by_task["**accepted**"] == ["600", "1,000", "1,600"]
    assert by_task["share accepted"] == ["60.0 %", "76.9 %", "69.6 %"]
    assert list(by_task)[3:-2] == [
        "failed: timeout", "rejected: wrong: box", "rejected: leak: hint", "rejected: house rule",
    ], "in the order of the checks, what is unknown to them last"  # fmt: skip
    by_prompt = table(told, "by prompt")
    assert by_prompt["by prompt"] == ["direct", "reason", "all"]
    assert by_prompt["**accepted**"] == ["300", "1,300", "1,600"]
    for column in range(3):
        cells = [int(row[column].replace(",", "")) for name, row in by_task.items()
                 if name.startswith(("failed", "rejected", "**"))]  # fmt: skip
        assert cells[0] == sum(cells[1:]), "nothing is lost"


def test_a_reason_may_hold_anything(taught: Loaded, tmp_path: Path) -> None:
    odd = stage("judge", 1, **{"trace|a|reason|x | <b> y": 1})
    told = teachers_part(card(tmp_path, taught, [odd]))
    assert "| rejected: x \\| &lt;b> y | 1 | 1 |" in told


def test_without_answers_it_says_so(taught: Loaded, tmp_path: Path) -> None:
    assert "No answer was judged." in teachers_part(card(tmp_path, taught, ()))


def test_pass_rates_are_shown_in_order(taught: Loaded, tmp_path: Path) -> None:
    rates = table(teachers_part(card(tmp_path, taught)), "pass rate")
    assert list(rates)[2:] == ["0.2 to 0.3", "0.5 to 0.6"]
    assert rates["0.5 to 0.6"] == ["30", "75.0 %", "█" * 24]
    assert rates["0.2 to 0.3"] == ["10", "25.0 %", "█" * 8]
    assert "### Pass rates" not in card(tmp_path, taught, entries=ENTRIES[:2])


def test_lengths_of_reasonings_are_shown_in_order(taught: Loaded, tmp_path: Path) -> None:
    lengths = table(teachers_part(card(tmp_path, taught)), "words")
    assert list(lengths)[2:] == ["from 25", "from 100"]
    assert lengths["from 25"] == ["2", "66.7 %", "█" * 24]
    assert "### Lengths" not in card(tmp_path, taught, entries=ENTRIES[1:])


def test_it_says_what_was_asked_for_and_met(taught: Loaded, tmp_path: Path) -> None:
    told = teachers_part(card(tmp_path, taught))
    assert "**`cot`** (3 rows of 5 asked for)" in told
    assert "Share of `cot` among both: 75.0 % asked for, 60.0 % met." in told
    assert "**`rl`** (40 rows)" in told
    assert "turns with a pass rate over 0.1 and under 0.9 are here" in told
    none = teachers_part(card(tmp_path, taught, entries=ENTRIES[2:]))
    assert "75.0 % asked for, none met." in none


def test_the_rules_are_told_with_their_thresholds(taught: Loaded, tmp_path: Path) -> None:
    told = teachers_part(card(tmp_path, taught))
    cot, rl = re.findall(r"^- `(?:cot|rl)`: .*", told, re.M)
    assert "boxes that count from IoU 0.6" in cot and "12 to 1,200 words" in cot
    assert "by 0.1, or 0.2 where that is wrong (under 0.5)" in cot
    assert "IoU 0.5" in rl and "words" not in rl and "betrays" not in rl
    assert "catch some wordings only" in told


def test_only_what_the_recipe_makes_is_described(made: Any, tmp_path: Path) -> None:
    loaded = with_teacher(made, tmp_path, backend="scripted", rl={})
    told = teachers_part(card(tmp_path, loaded))
    assert "**`rl`**" in told and "**`cot`**" not in told and "**`direct`**" not in told
    assert "- `cot`:" not in told


def test_the_features_and_columns_are_those_of_lessons(taught: Loaded, tmp_path: Path) -> None:
    from datasets import Features

    wanted = Features.from_dict(features(LESSON_SCHEMA))
    for info in front_matter(taught, ENTRIES)["dataset_info"]:
        assert Features._from_yaml_list(info["features"]) == wanted
        assert info["features"] == wanted._to_yaml_list()
    columns = card(tmp_path, taught).partition("## Columns\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w\[\].]+)` \| ([\w ]+) \| (.+) \|$", columns, re.M)
    paths = [path for path, _, _ in rows]
    assert [path for path in paths if "." not in path] == LESSON_SCHEMA.names
    assert len(paths) == len(set(paths))
    assert all(sentence.endswith((".", ".`")) for _, _, sentence in rows)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("vllm:Qwen/Qwen2.5-VL-7B@main", "vllm:Qwen/Qwen2.5-VL-7B@main"),
        ("vllm:/home/someone/models/Mine@1[dtype=float16]", "vllm:Mine@1[dtype=float16]"),
        ("~/models/Mine", "Mine"),
        ("file:///home/someone/pictures", "pictures"),
        ("http://10.0.0.3:8000/v1", "http://.../v1"),
        ("https://user:word@gpu7.internal/v1", "https://.../v1"),
        ({"extra": ["/srv/chat.jinja", 3, None]}, {"extra": ["chat.jinja", 3, None]}),
        ("json", "json"),
        ("and/or a 1/2", "and/or a 1/2"),
    ],
)
def test_folders_and_servers_stay_out_of_the_card(value: Any, shown: Any) -> None:
    assert public(value) == shown


def test_the_recipe_in_the_card_names_no_server(taught: Loaded, tmp_path: Path) -> None:
    assert taught.recipe.teacher
    settings = {"url": "http://gpu7.internal:8000/v1", "folder": "/home/someone/pictures"}
    text = card(
        tmp_path, changed(taught, teacher=replace(taught.recipe.teacher, settings=settings))
    )
    assert "gpu7" not in text and "someone" not in text
    assert "url: http://.../v1" in text and "folder: pictures" in text


def test_the_funnel_counts_accepted_traces_and_leaves_tables_of_counts_out() -> None:
    release = stage("release", 5)
    steps = funnel({
        "release": [release], "judge": TEACHING[1:], "answer": TEACHING[:1],
        "teach": [stage("teach", 900, {"too hard": 7}, **{"config=rl": 1})],
    })  # fmt: skip
    assert [(s.stage, s.what, s.out) for s in steps] == [
        ("answer", "answers", 2300), ("judge", "traces", 1600), ("teach", "lessons", 900),
        ("release", "rows", 5),
    ]  # fmt: skip
    assert steps[1].dropped == {
        "wrong: box": 500, "house rule": 100, "leak: hint": 60, "reply: timeout": 40,
    }  # fmt: skip
    assert steps[1].noted == {}
    assert "known before" not in steps[0].noted
    assert not [line for line in lines(steps) if "|" in line]


def test_what_a_run_knew_before_is_no_part_of_the_card(taught: Loaded, tmp_path: Path) -> None:
    cards: list[str] = []
    for known in (0, 50):
        teaching = [stage("answer", 9, **{"known before": known, "requests": 9}), *TEACHING[1:]]
        steps = funnel({"answer": teaching[:1], "judge": teaching[1:]})
        write_card(Store(str(tmp_path)), taught, ENTRIES, steps, (), teaching=teaching)
        cards.append((tmp_path / "release" / "README.md").read_text())
    assert cards[0] == cards[1]
    assert "noted: requests" not in cards[0]


def test_traces_are_added_up_over_entries() -> None:
    twice = statistics.traces([*TEACHING, *TEACHING])
    assert twice["tracking", "reason", "wrong: box"] == 400
    assert sum(twice.values()) == 2 * 2300
    assert statistics.traces(ENTRIES) == {}
