"""The card: what the Hub reads of it, what people read of it, and what it must never hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import yaml

from mgdata.manifest import Entry, File
from mgdata.recipe import Loaded, Recipe
from mgdata.release import statistics
from mgdata.release.card import write_card
from mgdata.release.front import front_matter
from mgdata.release.funnel import Step
from mgdata.release.rows import SCHEMA, features
from mgdata.storage import Store


def entry(path: str, rows: int, size: int, **counts: int) -> Entry:
    """The entry of a released file; `path` is its configuration and split, `_is_` stands for `=`."""
    config, split = path.split("/")
    named = {name.replace("_is_", "="): n for name, n in counts.items()}
    return Entry(
        stage="release",
        name=f"{config}-{split}",
        fingerprint="f",
        rows=rows,
        files=(File(path=f"release/data/{path}-00000-of-00001.parquet", bytes=size, sha256="0"),),
        counts={f"config={config}": 1, f"split={split}": 1, "license=CC-BY-4.0": rows, **named},
    )


ENTRIES = (
    entry("tracking/train", 5, 4_000_000, images_is_4=3, images_is_10=2, **{"decoded bytes": 9000}),
    entry("tracking/test", 2, 1_000, images_is_4=2, **{"decoded bytes": 500}),
    entry("counting/train", 1, 70, images_is_2=1, kind_is_count=1, **{"decoded bytes": 60}),
)


def written(tmp_path: Path, loaded: Loaded, entries: Sequence[Entry] = ENTRIES, *,
            steps: Sequence[Step] = (), short: Sequence[str] = ()) -> str:  # fmt: skip
    written = write_card(Store(str(tmp_path)), loaded, entries, steps, short)
    assert written == ["release/README.md", "release/statistics.png"]
    return (tmp_path / "release" / "README.md").read_text()


def changed(loaded: Loaded, **changes: Any) -> Loaded:
    return msgspec.structs.replace(loaded, recipe=msgspec.structs.replace(loaded.recipe, **changes))


def front(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_features_in_the_front_matter_are_those_of_the_files(made: Any) -> None:
    from datasets import Features

    (info,) = front_matter(made.loaded, ENTRIES[:1])["dataset_info"]
    wanted = Features.from_dict(features())
    assert Features._from_yaml_list(info["features"]) == wanted
    assert info["features"] == wanted._to_yaml_list()


def test_the_hub_accepts_the_front_matter(made: Any) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(str(made.release / "README.md"))
    assert card.data.pretty_name == "small"
    assert card.data.language == ["en"]
    assert card.data.license == "other"
    assert card.data.task_categories == ["image-text-to-text"]


def test_the_front_matter_counts_what_the_files_hold(made: Any) -> None:
    found = front((made.release / "README.md").read_text())
    (info,) = found["dataset_info"]
    for split in info["splits"]:
        files = made.files(split["name"])
        assert split["num_examples"] == sum(pq.read_metadata(file).num_rows for file in files)
        columns = [pq.read_table(file, columns=["images"])["images"] for file in files]
        loaded = sum(
            len(i["bytes"]) for column in columns for row in column.to_pylist() for i in row
        )
        assert split["num_bytes"] == loaded
    assert info["download_size"] == sum(file.stat().st_size for file in made.files())
    assert info["dataset_size"] == sum(split["num_bytes"] for split in info["splits"])
    (config,) = found["configs"]
    for data in config["data_files"]:
        assert sorted(made.release.glob(data["path"])) == made.files(data["split"])


def test_every_configuration_and_split_is_listed_in_order(made: Any, tmp_path: Path) -> None:
    text = written(tmp_path, made.loaded)
    found = front(text)
    assert [(info["config_name"], [s["name"] for s in info["splits"]]) for info in found["dataset_info"]] == [
        ("tracking", ["train", "test"]), ("counting", ["train"]),
    ]  # fmt: skip
    assert "| tracking | train | 5 | 32 | 1 | 4.0 MB | 9.0 kB |" in text
    assert "| images a row | tracking | counting | share |" in text
    assert "| 4 | 5 | 0 | 62.5 % |\n| 10 | 2 | 0 | 25.0 % |" in text


def test_two_cards_of_one_release_are_equal_and_name_no_folder(made: Any, tmp_path: Path) -> None:
    published = (made.release / "README.md").read_text()
    assert made.run.as_posix() not in published
    for root in made.roots.values():
        assert root not in published
    one = written(tmp_path / "a", made.loaded)
    assert written(tmp_path / "b", msgspec.structs.replace(made.loaded, path="/other")) == one


def test_the_folder_of_a_task_file_stays_out_of_the_card(made: Any, tmp_path: Path) -> None:
    task = msgspec.structs.replace(
        made.loaded.recipe.tasks["object_tracking"], builder="/home/someone/my_task.py:MyTask"
    )
    text = written(tmp_path, changed(made.loaded, tasks={"mine": task}))
    assert "someone" not in text
    assert "builder: my_task.py:MyTask" in text


def test_the_recipe_in_the_card_is_the_recipe(made: Any) -> None:
    text = (made.release / "README.md").read_text()
    (block,) = re.findall(r"````yaml\n(.*?)````", text, re.DOTALL)
    assert msgspec.convert(yaml.safe_load(block), Recipe) == made.loaded.recipe


def test_the_lines_that_load_it_run(made: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    datasets.disable_progress_bars()
    text = (made.release / "README.md").read_text()
    (block, _) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(block.strip().splitlines()) == 3
    names: dict[str, Any] = {}
    exec(block.replace("path/to/this/folder", str(made.release)), names)
    assert len(names["data"]) == 14


def test_the_lines_that_load_it_name_the_repository(made: Any, tmp_path: Path) -> None:
    release = msgspec.structs.replace(made.loaded.recipe.release, repository="lab/tracks")
    text = written(tmp_path, changed(made.loaded, release=release))
    assert 'load_dataset("lab/tracks", "tracking", split="train")' in text
    assert "https://huggingface.co/datasets/lab/tracks" in text


def test_every_column_is_explained_once(made: Any) -> None:
    text = (made.release / "README.md").read_text()
    rows = re.findall(r"^\| `([\w\[\].]+)` \| ([\w ]+) \| (.+) \|$", text, re.MULTILINE)
    paths = [path for path, _, _ in rows]
    assert [path for path in paths if "." not in path] == SCHEMA.names
    assert len(paths) == len(set(paths))
    assert {"turns[].targets[].box", "image_info[].sha256", "messages[].content"} <= set(paths)
    assert all(sentence.endswith(".") for _, _, sentence in rows)


def test_the_example_of_a_box_is_what_the_notation_writes(made: Any, made_json: Any) -> None:
    text = (made.release / "README.md").read_text()
    assert "<|box_start|>(156,104),(656,605)<|box_end|>" in text
    text = (made_json.release / "README.md").read_text()
    assert '{"bbox_2d": [156, 104, 656, 605], "label": "the dog", "image": 2}' in text


def test_the_funnel_shows_every_reason(made: Any, tmp_path: Path) -> None:
    text = (made.release / "README.md").read_text()
    for step in made.outcome.steps:
        assert f"| **{step.stage}** | {step.what} that came out | **{step.out:,}** |" in text
        for reason, n in step.dropped.items():
            assert f"|  | dropped: {reason} | {n:,} |" in text
    step = Step(stage="build", what="samples", out=1, dropped={"a | b <i>": 1200}, noted={})
    text = written(tmp_path, made.loaded, steps=[step])
    assert "|  | dropped: a \\| b &lt;i> | 1,200 |" in text


def test_what_is_short_stands_at_the_top(made: Any, tmp_path: Path) -> None:
    text = written(tmp_path, made.loaded, short=["tracking/train: 3 of 8 samples missing"])
    assert text.index("> - tracking/train: 3 of 8") < text.index("## Load it")
    assert "Short of its recipe" not in (made.release / "README.md").read_text()


def test_sources_are_named_with_licence_and_homepage(made: Any) -> None:
    text = (made.release / "README.md").read_text()
    for name, corpus in made.loaded.corpora.items():
        licence = {"got10k": "CC-BY-4.0"}.get(name, corpus.license)
        pattern = rf"^\| {name} \| {name} \| \d+ \| {licence} \| <{re.escape(corpus.homepage)}> \|$"
        assert re.search(pattern, text, re.MULTILINE)


@pytest.mark.parametrize(
    ("licenses", "found"),
    [
        pytest.param(["CC-BY-4.0"], {"license": "cc-by-4.0"}, id="one that the Hub knows"),
        pytest.param(["unknown"], {"license": "other", "license_name": "unknown"}, id="unknown"),
        pytest.param(["House terms"], {"license": "other", "license_name": "see-sources-and-licences"}, id="its own"),
        pytest.param(["CC-BY-4.0", "unknown"], {"license": "other", "license_name": "see-sources-and-licences"}, id="mixed"),
        pytest.param(["CC-BY-4.0 AND MIT"], {"license": "other", "license_name": "see-sources-and-licences"}, id="joined"),
    ],
)  # fmt: skip
def test_only_one_known_licence_is_named_outright(
    made: Any, licenses: list[str], found: dict[str, str]
) -> None:
    one = ENTRIES[2]
    counts = {k: n for k, n in one.counts.items() if not k.startswith("license=")}
    counts |= {f"license={name}": 1 for name in licenses}
    front = front_matter(made.loaded, [msgspec.structs.replace(one, counts=counts)])
    assert {key: front[key] for key in front if key.startswith("license")} == found


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (630_000, "100K<n<1M"), (10**6, "1M<n<10M"),
     (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")],
)  # fmt: skip
def test_the_size_category_is_the_hubs_bucket(rows: int, name: str) -> None:
    assert statistics.size_category(rows) == name


def test_the_date_comes_from_the_recipe_alone(made: Any, tmp_path: Path) -> None:
    text = (made.release / "README.md").read_text()
    assert "It is dated 2026-11-20." in text
    assert "  year   = {2026}" in text
    release = msgspec.structs.replace(made.loaded.recipe.release, date=None)
    assert "year" not in written(tmp_path, changed(made.loaded, release=release))
