"""What the documentation says is so: every block runs, every list is complete, every link leads on."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import finished

from mgdata import pages, recipe, registry
from mgdata.budget import Spent
from mgdata.cli import app
from mgdata.release.rows import SCHEMA
from mgdata.schema import schema_of
from mgdata.teacher.acceptance import REASONS, Acceptance

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md"))),
]
DECISIONS = sorted(f"docs/decisions/{p.name}" for p in (ROOT / "docs/decisions").glob("*.md"))
REFERENCE = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs/reference").rglob("*.md"))
FIRST = ["README.md", "docs/quickstart.md"]
"""Pages whose files and runs the others use."""
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LAYOUTS = ("got10k", "lasot", "trackingnet", "motchallenge")
RUNS = ("run", "ingest", "measure", "build", "answer", "judge", "release", "plan")
"""Verbs that take an engine; here all of them run serially, which changes no byte."""
TAUGHT, WRITTEN = ("cot", "direct", "rl"), ("free_form",)
"""Configurations of the runs that the page on reasoning data makes."""
ELSEWHERE = ("source .venv/bin/activate", "ray start ", "pip install ")
"""Commands of other tools, which are read and not run."""
PLACES = {"data": "demo/corpora/", "shared": "shared/"}
"""What stands on the desk for the folders of a reader's machine."""
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    title: str
    text: str


@dataclass
class Desk:
    """A folder as a reader of the pages has it in front of them, after `make demo`."""

    folder: Path
    environment: dict[str, str]
    read: set[str] = field(default_factory=set)


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    found = [Block(*match.groups(default="")) for match in FENCE.finditer(text)]
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), f"{page}: a fence is odd"
    return found


def here(text: str) -> str:
    """The places that pages make up, as they are on the desk."""
    return re.sub(r"(?<![\w.])/(data|shared)/", lambda m: PLACES[m[1]], text)


def mgdata(line: str) -> None:
    """Run one documented command in this process, as its entry point does."""
    words = shlex.split(here(line))[1:]
    if words[0] in RUNS:
        words += ["--engine", "serial"]
    if {"--tokens", "--minutes"} & {*words}:
        # Whoever sets a budget on a page wants to see it used up.
        with pytest.raises(Spent, match="run the same command again to go on"):
            app(words, standalone_mode=False)
        return
    code = app(words, standalone_mode=False)
    # A recipe meant for real corpora may fall short of its samples on small synthetic ones.
    assert code in (None, 0, 1), line


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    home = Path.cwd()
    os.chdir(folder)
    try:
        for layout in LAYOUTS:
            mgdata(f"mgdata synth {layout} demo/corpora/{layout} --clips 8 --seed 7")
        Path("demo/corpora/roots.yaml").write_text("".join(f"{n}: {n}\n" for n in LAYOUTS))
        mgdata("mgdata run quickstart --roots demo/corpora/roots.yaml --out demo/run --quiet")
        shutil.copytree(ROOT / "pipelines", "pipelines")
        for page in PAGES:
            for block in blocks(page):
                if block.title:
                    file = Path(block.title)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(here(block.text))
        offline = {
            "HF_HOME": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        }
        yield Desk(folder, {**os.environ, **offline, "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"})
    finally:
        os.chdir(home)


@pytest.fixture(scope="module")
def bucket(desk: Desk) -> Iterator[dict[str, str]]:
    """A local server that speaks S3, with one demo corpus in `my-bucket`; its environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "reader",
        "AWS_SECRET_ACCESS_KEY": "reader",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="reader",
        aws_secret_access_key="reader",
    )
    client.create_bucket(Bucket="my-bucket")
    corpora = desk.folder / "demo/corpora"
    for file in sorted((corpora / "got10k").rglob("*")):
        if file.is_file():
            client.upload_file(str(file), "my-bucket", file.relative_to(corpora).as_posix())
    client.close()
    yield environment
    server.stop()


def told(desk: Desk, page: str, bucket: Any) -> None:
    """Do what a page says, in its order; pages it builds on come first."""
    for other in FIRST:
        if other != page and page not in FIRST[: FIRST.index(other)]:
            told(desk, other, bucket)
    if page in desk.read:
        return
    desk.read.add(page)
    runnable = [b for b in blocks(page) if b.language in ("python", "console") and not b.title]
    for language, some in groupby(runnable, key=lambda block: block.language):
        text = "\n".join(block.text for block in some)
        if language == "python":
            script(desk, page, here(text))
        else:
            for line in filter(None, text.splitlines()):
                command(desk, line, bucket)


def command(desk: Desk, line: str, bucket: Any) -> None:
    if line.startswith("make "):
        assert_made(line)
    elif line.startswith("mgdata ") and "s3://" in line:
        words = [
            sys.executable,
            "-c",
            "from mgdata.cli import main; main()",
            *shlex.split(line)[1:],
        ]
        environment = {**desk.environment, **bucket()}
        ended = finished(words, cwd=desk.folder, env=environment)
        assert ended.returncode == 0, ended.stderr
    elif line.startswith("mgdata "):
        mgdata(line)
    else:
        assert line.startswith(ELSEWHERE), f"nobody knows how to run {line!r}"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = set(re.findall(r"\.\[(\w+)\]", line))
        assert extras <= {*project["optional-dependencies"]}, line


def script(desk: Desk, page: str, text: str) -> None:
    """Blocks that follow each other share their names, as in a notebook."""
    words = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", text]
    done = finished(words, cwd=desk.folder, env=desk.environment)
    assert done.returncode == 0, f"{page}:\n{text}\n{done.stderr}"


def assert_made(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in line.split()[1:]:
        name, equals, _ = word.partition("=")
        pattern = rf"^{re.escape(name)} \?=" if equals else rf"^{re.escape(name)}:.*##"
        assert re.search(pattern, makefile, re.MULTILINE), f"{line}: the Makefile has no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_run_runs(
    page: str, desk: Desk, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    told(desk, page, lambda: request.getfixturevalue("bucket"))


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS])
def test_every_block_is_of_a_kind_that_is_tested(page: str, desk: Desk) -> None:
    for block in blocks(page):
        assert block.language in {"python", "console", "yaml", "toml", "text"}, block
        if block.language == "yaml":
            check_yaml(desk, block)
        if block.language == "toml":
            (group,) = tomllib.loads(block.text)["project"]["entry-points"]
            assert group.removeprefix("mgdata.") in registry.KINDS
        if block.language == "python" and block.title:
            compile(block.text, block.title, "exec")


def check_yaml(desk: Desk, block: Block) -> None:
    document = yaml.safe_load(block.text)
    if "tasks" in document:
        file = desk.folder / (block.title or "untitled.yaml")
        file.write_text(here(block.text))
        recipe.load(str(file))
    elif block.title.startswith("wording/"):
        assert all(isinstance(forms, list) for forms in document.values())
    else:
        assert all(isinstance(path, str) for path in document.values()), "neither recipe nor roots"


def test_a_task_of_the_pages_makes_what_it_says(desk: Desk) -> None:
    import pyarrow.parquet as pq

    told(desk, "README.md", dict)
    told(desk, "docs/adding-a-task.md", dict)
    for run, rows, images in (("mine-run", 5, 2), ("stranger-run", 12, 4)):
        (file,) = (desk.folder / run / "release/data").rglob("*.parquet")
        table = pq.read_table(file)
        assert len(table) == rows
        assert {len(info) for info in table["image_info"].to_pylist()} == {images}


def test_a_corpus_of_the_pages_is_read_and_its_broken_clip_dropped(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    told(desk, "docs/adding-a-corpus.md", dict)
    capsys.readouterr()
    mgdata("mgdata corpora check ./yard.py:Yard yard")
    said = capsys.readouterr().out
    assert "annotation lines differ from frames" in said
    assert "2 known not visible" in said


def test_what_the_page_on_reasoning_makes_is_there(desk: Desk) -> None:
    import pyarrow.parquet as pq

    told(desk, "docs/reasoning-data.md", dict)
    rows = {
        f"{run}/{config}": sum(
            len(pq.read_table(file, columns=["id"]))
            for file in (desk.folder / run / "release/data" / config).glob("train-*.parquet")
        )
        for run, configs in (("demo/taught", TAUGHT), ("my-traces", TAUGHT), ("free-run", WRITTEN))
        for config in configs
    }
    assert min(rows.values()) > 0, rows
    assert len(pq.read_table(desk.folder / "verl.parquet")) == rows["demo/taught/rl"]
    assert 0 < len(pq.read_table(desk.folder / "easyr1.parquet")) < rows["demo/taught/rl"]


def test_a_threshold_of_the_page_on_reasoning_lets_more_pass_and_asks_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    told(desk, "docs/reasoning-data.md", dict)
    shutil.copytree("my-traces", "stricter")
    (text,) = [b.text for b in blocks("docs/reasoning-data.md") if b.title == "traces.yaml"]
    passed: list[int] = []
    for iou in ("0.3", "0.5"):
        Path("stricter.yaml").write_text(text.replace("iou: 0.5 ", f"iou: {iou} ", 1))
        capsys.readouterr()
        mgdata("mgdata judge stricter.yaml --roots demo/corpora/roots.yaml --out stricter --quiet")
        said = capsys.readouterr().out
        passed.append(int(re.findall(r"^judge +(\d+) traces", said, re.MULTILINE)[0]))
        assert "tokens spent" not in said
    assert passed[0] > passed[1] > 0


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS])
def test_every_command_in_a_sentence_exists(page: str) -> None:
    sentences = FENCE.sub("", (ROOT / page).read_text())
    for inline in re.findall(r"`((?:make|mgdata) [^`]+)`", sentences):
        words = inline.split()
        if words[0] == "make":
            assert_made(re.sub(r"=\S+", "=x", inline))
        elif words[1].islower():
            assert words[1] in verbs(), inline


def verbs() -> set[str]:
    named = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    return named | {group.name for group in app.registered_groups if group.name}


def test_the_command_line_page_names_every_verb() -> None:
    rows = re.findall(r"^\| (`.+?`) \| ", (ROOT / "docs/command-line.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z]+)`", row)}
    assert verbs() == named


def test_the_recipe_page_names_every_key() -> None:
    text = (ROOT / "docs/recipes.md").read_text()
    keys = {
        key
        for kind in schema_of(recipe.Recipe, "recipe")["$defs"].values()
        for key in kind["properties"]
    }
    settings = registry.settings_of(registry.find("builders", "object_tracking"))
    assert {key for key in [*keys, *settings] if f"`{key}`" not in text} == set()


def test_the_page_on_reasoning_names_every_check_setting_backend_and_recipe() -> None:
    text = (ROOT / "docs/reasoning-data.md").read_text()
    checks = {reason.partition(":")[0] for reason in REASONS}
    recipes = {p.stem for p in (ROOT / "pipelines").glob("*.yaml") if "\nteacher:" in p.read_text()}
    named = {*checks, *Acceptance.__struct_fields__, *registry.names("backends"), *recipes}
    assert {name for name in named if not re.search(rf"`{re.escape(name)}\b", text)} == set()


def test_the_release_page_names_every_column() -> None:
    text = (ROOT / "docs/release-format.md").read_text()
    assert {name for name in SCHEMA.names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS])
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", (ROOT / page).read_text())):
        if "://" not in target:
            path, _, place = target.partition("#")
            file = (ROOT / page).parent / path if path else ROOT / page
            assert file.exists(), f"{page} links to {target}"
            if place:
                heads = re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text()), re.MULTILINE)
                assert place in map(anchor, heads), f"{page} links to {target}"


def anchor(heading: str) -> str:
    """What mkdocs and GitHub make of a heading."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def test_the_site_shows_every_page_and_each_once() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    shown: list[str] = []
    for entry in config["nav"]:
        (where,) = entry.values()
        shown += [where] if isinstance(where, str) else where
    assert sorted(f"docs/{page}" for page in shown) == sorted(
        [p for p in PAGES if p.startswith("docs/")] + REFERENCE + DECISIONS
    )


def test_a_page_of_the_reference_says_what_the_docstrings_say() -> None:
    written = {
        path.removeprefix("docs/reference/"): (ROOT / path).read_text() for path in REFERENCE
    }
    assert written == pages.texts(), "run `make pages`"
    for page, text in written.items():
        assert "None\n" not in text and len(text) > 200, page


def test_the_tree_in_the_readme_is_what_is_there() -> None:
    (tree,) = [
        b.text for b in blocks("README.md") if b.language == "text" and "pyproject.toml" in b.text
    ]
    top, library, parent = set[str](), set[str](), ""
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.findall(
            r"[\w.-]+/?(?=\s|$)", line.split("   ")[0] if not indent else line.split()[0]
        )
        if indent:
            assert (ROOT / parent / names[0]).exists(), f"the tree names {parent}{names[0]}"
            library |= {names[0]} if parent == "mgdata/" else set()
        else:
            top |= {*names, *(["CHANGELOG.md"] if "CHANGELOG.md" in line else [])}
            top |= set(re.findall(r"[A-Z]+\.?[a-z]*", line)) & {p.name for p in ROOT.iterdir()}
            parent = names[0]
    assert library == there(ROOT / "mgdata")
    assert top == there(ROOT)


def there(folder: Path) -> set[str]:
    """Files and folders that are tracked, or about to be; made things are not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    names = {
        f"{p.partition('/')[0]}{'/' if '/' in p else ''}" for p in listed if (folder / p).exists()
    }
    return {name for name in names if not name.startswith((".", "_"))}


def test_the_citation_file_has_what_its_format_asks_for() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])


def test_the_changelog_has_a_section_for_this_version() -> None:
    heads = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert heads[:2] == ["Unreleased", project["version"]]


def test_the_licence_is_the_standard_text() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2


@pytest.mark.parametrize(("picture", "most"), [("sample.png", 400_000), ("trace.png", 200_000)])
def test_a_picture_is_light_enough_for_a_readme(picture: str, most: int) -> None:
    assert 50_000 < (ROOT / "docs/images" / picture).stat().st_size < most
