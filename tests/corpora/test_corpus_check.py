from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from clip_writers import got10k_clip, lasot_clip, lines, mot_clip, put

from mgdata.corpora.check import Report, check
from mgdata.corpora.check import lines as report_lines
from mgdata.corpora.got10k import Got10k
from mgdata.corpora.lasot import Lasot
from mgdata.corpora.motchallenge import MotChallenge
from mgdata.data import Drop, Image, Record, Region
from mgdata.errors import EnvironmentFailure, PluginError
from mgdata.geometry import Box
from mgdata.plugins import Corpus
from mgdata.storage import Root


def mixed(root: Path) -> Lasot:
    """Five sequences: one whole, one with every oddity of a box, three dropped for two reasons."""
    lasot_clip(root, "goat-1")
    odd = lasot_clip(root, "goat-2")
    put(odd / "groundtruth.txt", lines("0,1,9,9", "0,0,0,0", "0,0,0,0", *["11,21,30,20"] * 3))
    put(odd / "full_occlusion.txt", "0,1,0,0,0,0")
    for name in ("dog-1", "dog-2"):
        (lasot_clip(root, name) / "groundtruth.txt").unlink()
    put(lasot_clip(root, "dog-3") / "groundtruth.txt", lines(*["1,1,2,2"] * 5))
    return Lasot(name="lasot", root=Root(str(root)))


def test_a_report_counts_everything_that_was_read(tmp_path: Path) -> None:
    report = check(mixed(tmp_path))
    assert (report.layout, report.license) == ("as expected", "unknown")
    assert (report.parts, report.records, report.images, report.regions) == (5, 2, 12, 11)
    assert (report.hidden, report.clipped, report.ignored) == (1, 1, 0)
    assert report.labels == {"goat": 11}
    assert report.skipped == {"zero box": 1}
    assert {reason: drop.count for reason, drop in report.drops.items()} == {
        "missing annotation": 2,
        "annotation lines differ from frames": 1,
    }
    assert report.drops["missing annotation"].examples[0].startswith("lasot/dog/dog-1 (")
    assert report.missing_images == 0
    assert report.seconds >= 0


def test_a_report_is_json_and_text(tmp_path: Path) -> None:
    report = check(mixed(tmp_path))
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    text = "\n".join(report_lines(report))
    for part in ("2 from 5 parts", "goat 11", "dropped   2  missing annotation", "zero box"):
        assert part in text
    assert Lasot.homepage in text


def test_ignored_regions_are_counted(tmp_path: Path) -> None:
    mot_clip(tmp_path, rows="1,1,1,1,5,5,1,1,1\n1,2,9,9,5,5,0,8,1\n")
    report = check(MotChallenge(name="mot", root=Root(str(tmp_path))))
    assert (report.regions, report.ignored) == (2, 1)


def test_a_wrong_layout_is_a_verdict_not_a_failure(tmp_path: Path) -> None:
    lasot_clip(tmp_path)
    report = check(Got10k(name="got10k", root=Root(str(tmp_path))))
    assert "looked for train/list.txt" in report.layout
    assert report.parts == report.records == 0
    assert report.layout in "\n".join(report_lines(report))


def test_a_missing_root_is_named_with_the_way_out(tmp_path: Path) -> None:
    corpus = Got10k(name="got10k", root=Root(str(tmp_path / "nowhere")))
    with pytest.raises(EnvironmentFailure, match=r"nowhere; .* get it from http"):
        check(corpus)


def test_examples_of_a_reason_are_few_and_the_first(tmp_path: Path) -> None:
    names = [f"GOT-10k_Train_{number:06d}" for number in range(1, 8)]
    got10k_clip(tmp_path)
    put(tmp_path / "train/list.txt", lines(*names))
    drop = check(Got10k(name="got10k", root=Root(str(tmp_path)))).drops["listed but missing"]
    assert drop.count == 6
    assert [example.split()[0] for example in drop.examples] == [
        f"got10k/train/{name}" for name in names[1:4]
    ]


def test_a_file_that_cannot_be_read_is_reported_as_ingest_would(tmp_path: Path) -> None:
    path = lasot_clip(tmp_path) / "groundtruth.txt"
    path.unlink()
    path.mkdir()
    drops = check(Lasot(name="lasot", root=Root(str(tmp_path)))).drops
    assert drops["unreadable file"].count == 1
    assert "cannot read goat/goat-1/groundtruth.txt" in drops["unreadable file"].examples[0]


@dataclass(frozen=True, kw_only=True)
class Careless(Corpus):
    """A third party's corpus that names images without looking whether they are there."""

    license = "CC0-1.0"
    homepage = "https://example.org"
    layout = "*.jpg"
    shape = "image"

    def parts(self) -> list[str]:
        return ["all"]

    def records(self, part: str) -> Iterator[Record | Drop]:
        del part
        for name in ("there/1.jpg", "gone/2.jpg", "there/3.mp4#frame=7"):
            image = Image(uri=self.uri(name), width=8, height=8)
            region = Region(image=0, box=Box(0, 0, 4, 4), label="cat")
            yield Record(
                key=f"{self.name}/{name}",
                shape="image",
                unit=name,
                images=(image,),
                regions=(region,),
                license=self.license,
            )


def test_an_image_that_a_record_names_but_is_not_on_disk_is_reported(tmp_path: Path) -> None:
    put(tmp_path / "there/1.jpg", b"")
    put(tmp_path / "there/3.mp4", b"")
    report = check(Careless(name="mine", root=Root(str(tmp_path))))
    assert (report.records, report.missing_images) == (3, 1)
    assert report.missing == ("gone/2.jpg",)
    assert "missing   1 images: gone/2.jpg" in report_lines(report)


@dataclass(frozen=True, kw_only=True)
class Broken(Careless):
    """One whose boxes leave their image, and whose code fails at the second record."""

    def records(self, part: str) -> Iterator[Record | Drop]:
        for number, record in enumerate(super().records(part)):
            region = msgspec.structs.replace(record.regions[0], box=Box(0, 0, 9, 9))
            yield msgspec.structs.replace(record, regions=(region,))
            if number == 1 and part == "bad":
                raise KeyError("boxes")


def test_a_record_that_breaks_the_rules_is_reported_as_a_drop(tmp_path: Path) -> None:
    report = check(Broken(name="mine", root=Root(str(tmp_path))))
    assert report.records == 0
    assert report.drops["invalid record"].count == 3


def test_a_corpus_whose_code_fails_is_named(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Worse(Broken):
        def parts(self) -> list[str]:
            return ["bad"]

    with pytest.raises(PluginError, match=r"corpus mine failed on part bad: KeyError"):
        check(Worse(name="mine", root=Root(str(tmp_path))))
