"""The card: `README.md` of a release, for the Hub's viewer and for people.

Made from the recipe, the entries of the released files and the funnel; opens no released file,
reads no clock and names no folder of this machine. Same input, same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import msgspec
import pyarrow as pa
import yaml

from mgdata.data import Count, Image, Target
from mgdata.geometry import Box
from mgdata.manifest import Entry
from mgdata.recipe import Loaded
from mgdata.release import card_teacher, statistics
from mgdata.release.front import front_matter, title
from mgdata.release.funnel import Step
from mgdata.release.markdown import cell, table
from mgdata.release.rows import LESSON_SCHEMA, SCHEMA, LessonRow, Row
from mgdata.schema import schema_of
from mgdata.storage import Store

_SIZES = frozenset(
    (
        *("rows", "row groups", "decoded bytes", "stored image bytes"),
        *("requests", "known before", "not asked", "tokens", "prompt tokens", "tokens spent"),
    )
)
"""Counts that say how large a thing is or how a run went, not what became of anything. What an
answer stage knew before is another number after a run that was cut short."""


def write_card(
    store: Store,
    loaded: Loaded,
    entries: Sequence[Entry],
    steps: Sequence[Step],
    short: Sequence[str],
    teaching: Sequence[Entry] = (),
) -> list[str]:
    """Write the card of the released files and return the paths written, relative to the run.

    `entries` are those of the release stage, labelled `config=` and `split=`; `steps` is the
    funnel; `short` says why the release has fewer rows than its recipe asks for; `teaching` are the
    entries of the stages `answer` and `judge`.
    """
    # Here, not above: it loads Pillow.
    from mgdata.release import plot

    front = yaml.safe_dump(
        front_matter(loaded, entries), sort_keys=False, allow_unicode=True, width=100
    )
    sections = [
        _opening(loaded, entries, short),
        _contents(entries),
        card_teacher.section(loaded, entries, teaching),
        _columns(loaded),
        _boxes(loaded),
        _order(loaded),
        _statistics(entries),
        _sources(loaded, entries),
        _funnel(steps),
        _making(loaded, entries),
        _limitations(loaded, entries),
        _citation(loaded),
    ]
    text = f"---\n{front}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"
    store.write("release/statistics.png", plot.draw(entries))
    store.write("release/README.md", text.encode())
    return ["release/README.md", "release/statistics.png"]


def _opening(loaded: Loaded, entries: Sequence[Entry], short: Sequence[str]) -> str:
    recipe = loaded.recipe
    found = statistics.parts(entries)
    rows, images = sum(p.rows for p in found), sum(p.images for p in found)
    lines = [f"# {title(loaded)}", "", *card_teacher.warning(loaded)]
    if recipe.description:
        lines += [recipe.description.strip(), ""]
    lines += [
        f"{rows:,} conversations over {images:,} images: each asks where things are in several "
        "images at once, and each answer is a set of boxes (or says that there is none).",
        "",
    ]
    if short:
        lines += ["> **Short of its recipe.** Fewer rows than asked for:", ">"]
        lines += [f"> - {cell(reason)}" for reason in short] + [""]
    where = recipe.release.repository or "path/to/this/folder"
    config, split = (found[0].config, found[0].split) if found else ("CONFIG", "train")
    lines += [
        "## Load it",
        "",
        "```python",
        "from datasets import load_dataset",
        f'data = load_dataset("{where}", "{config}", split="{split}")',
        'print(data[0]["messages"], data[0]["images"])  # the text, and decoded PIL images',
        "```",
    ]
    return "\n".join(lines)


def _contents(entries: Sequence[Entry]) -> str:
    rows = [
        (part.config, part.split, f"{part.rows:,}", f"{part.images:,}", f"{part.files:,}",
         statistics.megabytes(part.download), statistics.megabytes(part.loaded))
        for part in statistics.parts(entries)
    ]  # fmt: skip
    head = ("configuration", "split", ">rows", ">images", ">files", ">on disk", ">loaded")
    return (
        "## What is in it\n\n"
        f"{table(head, rows)}\n\n"
        "An image that several rows show counts once a row under *images* and *loaded*; on disk "
        "rows of one row group share it."
    )


def _columns(loaded: Loaded) -> str:
    struct, fields = (LessonRow, LESSON_SCHEMA) if loaded.teacher else (Row, SCHEMA)
    schema = schema_of(struct, "row")
    rows = [
        (f"`{path}`", kind, cell(text))
        for path, kind, text in _described("", struct.__name__, fields, schema["$defs"])
    ]
    return f"## Columns\n\n{table(('column', 'type', 'meaning'), rows)}"


def _described(
    path: str, struct: str, fields: Iterable[pa.Field], definitions: dict[str, Any]
) -> Iterable[tuple[str, str, str]]:
    """Path, type and sentence of every field, depth first."""
    properties = definitions[struct]["properties"]
    for field in fields:
        inner = properties[field.name]
        here = f"{path}{field.name}"
        if field.name == "images" and not path:
            yield here, "list of image", inner["description"]
            continue
        yield here, _type_name(field.type), inner["description"]
        reference = inner.get("items", {})
        if isinstance(reference, dict) and "$ref" in reference:
            name = reference["$ref"].rpartition("/")[2]
            yield from _described(f"{here}[].", name, field.type.value_type, definitions)


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type_name(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "struct"
    return {"double": "float64"}.get(str(kind), str(kind))


def _boxes(loaded: Loaded) -> str:
    image = Image(uri="example:photo.jpg", width=640, height=480)
    box = Box(x1=100.0, y1=50.0, x2=420.0, y2=290.5)
    written = loaded.notation.region(Target(image=1, box=box, phrase="the dog"), image)
    return f"""## Boxes

In `turns` a box is `[x1, y1, x2, y2]` in float pixels of its image as published: the origin is the
top left corner of the top left pixel, right and bottom edge are exclusive, nothing is rounded.
`image` is an index into `images`, from 0.

In `messages` boxes are written in the notation `{loaded.recipe.release.notation}`, whose coordinate
frame is `{loaded.notation.frame}`. The dog at `[100.0, 50.0, 420.0, 290.5]` of the second image,
{image.width}x{image.height} pixels, is written

```text
{written}
```

A notation in whole numbers rounds: judge against `turns`, train on `messages`. The text of `turns`
holds `<image:i>` where image i stands, `<region:i>` where a given box and `<target:i>` where an
asked box is written, so that any other notation can be rendered from it."""


def _order(loaded: Loaded) -> str:
    del loaded
    return """## Order of the rows

Neighbouring rows share images, because a shared image is stored once a row group. Do not train in
file order: the column `order` is a random permutation of the split, and sorting by it shuffles.

```python
shuffled = data.sort("order")
```

When streaming, where nothing can be sorted, use `data.shuffle(buffer_size=1000)`."""


def _statistics(entries: Sequence[Entry]) -> str:
    groups = statistics.by_config(entries)
    sections = [
        "## Statistics",
        "![Images a row, targets a turn, images and places of targets](statistics.png)",
        "*No*, *one* and *many* count the targets of turns that are answered by boxes. The middle "
        "of a target is counted over the whole of its image.",
    ]
    for name, head in (
        ("images", "images a row"),
        ("turns", "turns a row"),
        ("count", "targets asked for"),
        ("targets", "boxes asked for in a turn"),
        ("kind", "kind of turn"),
        ("association", "association"),
    ):
        columns = {c: statistics.histogram(found, name) for c, found in groups.items()}
        values = list(statistics.histogram(entries, name))
        if name == "count":
            values = [value for value in get_args(Count) if value in values]
        sums = [sum(column.get(value, 0) for column in columns.values()) for value in values]
        rows = [
            (value, *(f"{column.get(value, 0):,}" for column in columns.values()), share)
            for value, share in zip(values, statistics.shares(sums), strict=True)
        ]
        sections.append(table((head, *(f">{c}" for c in columns), ">share"), rows))
    return "\n\n".join(sections)


def _sources(loaded: Loaded, entries: Sequence[Entry]) -> str:
    used = statistics.histogram(entries, "corpus")
    rows = [
        (
            name,
            section.corpus or name,
            f"{used.get(name, 0):,}",
            cell(section.license or loaded.corpora[name].license),
            f"<{loaded.corpora[name].homepage}>",
        )
        for name, section in loaded.recipe.corpora.items()
    ]
    licenses = statistics.histogram(entries, "license")
    shown = table(("corpus", "format", ">records shown", "licence", "homepage"), rows)
    counts = [(cell(name), f"{n:,}") for name, n in licenses.items()]
    return (
        f"## Sources and licences\n\n{shown}\n\n"
        "Images belong to their corpora and keep their terms, which the column `license` gives "
        "row by row. `unknown` means that no licence was found in the corpus' own text: ask its "
        f"authors before you publish.\n\n{table(('licence of a row', '>rows'), counts)}"
    )


def _funnel(steps: Sequence[Step]) -> str:
    rows: list[tuple[str, ...]] = []
    for step in steps:
        rows.append((f"**{step.stage}**", f"{step.what} that came out", f"**{step.out:,}**"))
        rows += [("", f"dropped: {cell(why)}", f"{n:,}") for why, n in step.dropped.items()]
        rows += [
            ("", f"noted: {cell(what)}", f"{n:,}")
            for what, n in step.noted.items()
            if what not in _SIZES
        ]
    return (
        "## What was left out\n\n"
        f"{table(('stage', 'what', '>count'), rows)}\n\n"
        "*Dropped* is gone, and a ledger of the run names each one; *noted* was counted and kept. "
        "An image that several samples wanted may be dropped more than once."
    )


def _making(loaded: Loaded, entries: Sequence[Entry]) -> str:
    recipe = loaded.recipe
    groups, stored = (statistics.total(entries, n) for n in ("row groups", "stored image bytes"))
    dated = f" It is dated {recipe.release.date}." if recipe.release.date else ""
    return (
        "## How it was made\n\n"
        f"By mgdata {version('mgdata')} from the recipe "
        f"`{recipe.name}` with seed {recipe.seed}.{dated} The same recipe over the same corpora "
        f"gives the same files, byte for byte. {groups:,} row groups hold "
        f"{statistics.megabytes(stored)} of encoded images.\n\n"
        "<details>\n<summary>The recipe</summary>\n\n"
        f"````yaml\n{_recipe_text(loaded)}````\n\n"
        "</details>"
    )


def _recipe_text(loaded: Loaded) -> str:
    plain = _unplaced(msgspec.json.decode(msgspec.json.encode(loaded.recipe)))
    if loaded.teacher:
        plain["teacher"]["with"] = card_teacher.public(plain["teacher"]["with"])
    else:
        del plain["teacher"]
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _unplaced(value: Any) -> Any:
    """The recipe with `/some/folder/my_task.py:MyTask` cut to `my_task.py:MyTask`."""
    if isinstance(value, dict):
        return {_unplaced(key): _unplaced(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unplaced(inner) for inner in value]
    if isinstance(value, str) and re.search(r"\.py:\w+$", value):
        return Path(value).name
    return value


def _limitations(loaded: Loaded, entries: Sequence[Entry]) -> str:
    edited = statistics.total(entries, "images re-encoded")
    quality = loaded.recipe.release.codec.quality
    but = ", but for what the teacher wrote" if loaded.teacher else ""
    return f"""## Limitations

- Boxes are the corpora's own annotations, chosen and reworded by a program. Nobody has looked at
  each of them: where an annotation is loose or wrong, so is the answer.
- Questions and answers are English, filled from templates{but}.
- Images are published as their corpora store them. {edited:,} were edited (a drawn mark, a
  rotation, a conversion to 8-bit RGB) and re-encoded as JPEG of quality {quality}.
- No picture is in two splits, and records of one sequence stay in one split. That compares bytes:
  near-duplicates, and overlap with other data sets or benchmarks, are not searched for.
- JPEG has no checksum, so an image damaged before it was measured can pass as whole."""


def _citation(loaded: Loaded) -> str:
    recipe = loaded.recipe
    year = re.match(r"\d{4}", recipe.release.date or "")
    key = re.sub(r"\W+", "_", recipe.name)
    fields = [f"  title  = {{{title(loaded)}}}"]
    if year:
        fields.append(f"  year   = {{{year[0]}}}")
    if recipe.release.repository:
        place = f"https://huggingface.co/datasets/{recipe.release.repository}"
        fields.append(f"  url    = {{{place}}}")
    fields.append(f"  note   = {{Made with mgdata {version('mgdata')}, seed {recipe.seed}}}")
    text = ",\n".join(fields)
    return (
        "## How to cite\n\n"
        "Cite the source corpora (their homepages say how) and this release:\n\n"
        f"```bibtex\n@misc{{{key},\n{text}\n}}\n```"
    )
