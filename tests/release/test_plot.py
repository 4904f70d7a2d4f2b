"""The picture of a release's statistics: what is counted is drawn, and drawn the same each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mgdata.manifest import Entry
from mgdata.release.plot import draw
from mgdata.release.statistics import CELLS, cell


def entry(config: str, **counts: int) -> Entry:
    named = {name.replace("__", "="): n for name, n in counts.items()}
    return Entry(
        stage="release", name=config, fingerprint="", rows=1, files=(),
        counts={f"config={config}": 1, "split=train": 1, **named},
    )  # fmt: skip


def pixels(*entries: Entry) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(draw(entries))).convert("RGB"))


def test_the_same_counts_give_the_same_bytes() -> None:
    one = entry("a", images__2=3, targets__0=1, centre__9=4)
    assert draw([one]) == draw([one])


def test_each_configuration_has_a_row_of_panels() -> None:
    assert pixels(entry("a"), entry("b")).shape[0] == 2 * pixels(entry("a")).shape[0]


def test_a_bar_is_as_tall_as_its_count() -> None:
    blue = np.array((59, 130, 246))
    shown = pixels(entry("a", images__2=100, images__3=50))
    tall = sorted(((shown == blue).all(axis=2).sum(axis=0)).tolist(), reverse=True)
    heights = [height for height in tall if height > 20]
    assert heights[-1] / heights[0] == pytest.approx(0.5, abs=0.02)


def test_what_is_beyond_the_last_bar_is_counted_in_it() -> None:
    few = {f"targets__{n}": 1 for n in range(13)}
    more = {**few, "targets__13": 500, "targets__14": 500}
    assert (pixels(entry("a", **few)) != pixels(entry("a", **more))).any()


@pytest.mark.parametrize(
    ("x", "y", "number"),
    [(0.0, 0.0, 0), (0.99, 0.0, CELLS - 1), (1.0, 1.0, CELLS * CELLS - 1), (0.5, 0.5, 36)],
)
def test_a_point_lies_in_the_cell_of_its_row_and_column(x: float, y: float, number: int) -> None:
    assert cell(x, y) == str(number)
