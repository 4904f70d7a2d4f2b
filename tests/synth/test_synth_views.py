import hashlib
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from lzstring import LZString

from mgdata.corpora.rle import decompress
from mgdata.identity import Stream
from mgdata.synth import write
from mgdata.synth.views import Place, look, place

SIZE = (160, 120)
NAMES = ("worn", "left", "right", "far")


def made(seed: int, things: int = 5, twins: bool = False) -> Place:
    return place(Stream("views", str(seed)), SIZE, NAMES, things, twins)


def test_a_place_is_a_function_of_its_stream() -> None:
    for eye, again, other in zip(made(1).eyes, made(1).eyes, made(2).eyes, strict=True):
        one, two, three = look(made(1), eye, 0.5), look(made(1), again, 0.5), look(made(2), other, 0.5)  # fmt: skip
        assert np.array_equal(one.image, two.image)
        assert not np.array_equal(one.image, three.image)
        assert [*one.masks] == [*two.masks]


def test_no_pixel_belongs_to_two_things_and_each_thing_has_its_own_colour() -> None:
    hues: dict[str, list[float]] = {}
    for seed in range(6):
        found = made(seed)
        for eye in found.eyes:
            sight = look(found, eye, 1.0)
            assert sight.image.shape == (eye.size[1], eye.size[0], 3)
            assert sum(mask.astype(int) for mask in sight.masks.values()).max() <= 1
            hsv = cv2.cvtColor(sight.image, cv2.COLOR_BGR2HSV)
            for name, mask in sight.masks.items():
                vivid = mask & (hsv[..., 1] > 150) & (hsv[..., 2] > 120)
                if vivid.sum() > 60:
                    hues.setdefault(name.split()[0], []).append(float(np.median(hsv[vivid][:, 0])))
    assert len(hues) >= 6
    for colour, values in hues.items():
        if colour != "red":  # at both ends of the circle
            assert max(values) - min(values) < 12, colour


def test_what_a_camera_shows_of_a_thing_is_a_share_of_the_whole() -> None:
    shares: list[float] = []
    for seed in range(6):
        found = made(seed)
        for eye in found.eyes:
            sight = look(found, eye, 0.0)
            assert [*sight.whole] == [*sight.masks]
            shares += [m.sum() / sight.whole[n] for n, m in sight.masks.items() if m.any()]
    assert max(shares) == 1.0 and min(shares) > 0.0
    assert 0.02 < sum(share < 0.3 for share in shares) / len(shares) < 0.3


def test_things_are_hidden_from_some_cameras_and_seen_by_others() -> None:
    hidden = seen = cut = covered = 0
    for seed in range(12):
        found = made(seed)
        for thing in found.things:
            shows = [look(found, eye, 0.0).masks[thing.name].sum() for eye in found.eyes]
            hidden += sum(pixels == 0 for pixels in shows)
            seen += sum(pixels > 0 for pixels in shows)
            assert max(shows) > 100  # someone sees it well
        alone = [Place((thing,), found.post, found.eyes) for thing in found.things]
        for eye in found.eyes:
            together = look(found, eye, 0.0).masks
            for single in alone:
                (name, mask), *_ = look(single, eye, 0.0).masks.items()
                assert not (together[name] & ~mask).any()
                covered += bool((mask & ~together[name]).any())
                cut += bool(mask[:, 0].any() or mask[:, -1].any() or mask[-1].any())
    assert hidden / (hidden + seen) > 0.05
    assert seen / (hidden + seen) > 0.7
    assert covered > 5 and cut > 10  # by each other; the pillar stands in both


def test_only_the_camera_worn_moves() -> None:
    found = made(4)
    still = Place((), found.post, found.eyes)
    for eye in found.eyes:
        same = np.array_equal(look(still, eye, 0.0).image, look(still, eye, 1.0).image)
        assert same == (not eye.worn)
        assert (eye.size == (120, 120)) == eye.worn


def test_the_pillar_hides_only_what_is_behind_it() -> None:
    found = made(0)
    eye = found.eyes[1]
    for thing in found.things:
        single = Place((thing,), found.post, found.eyes)
        before = [look(single, eye, t).masks[thing.name].sum() for t in (0.0, 1.0, 2.0)]
        assert max(before) > 0
    names = [thing.name for thing in made(0, 6, twins=True).things]
    assert names[-1].removesuffix("_1") == names[-2].removesuffix("_0")
    assert len(set(names)) == 6


@pytest.mark.parametrize("things", [1, 9])
def test_a_place_holds_two_to_eight_things(things: int) -> None:
    with pytest.raises(ValueError, match=f"not {things}"):
        made(0, things)


# The layout.


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_equal_arguments_give_equal_files_and_more_takes_the_same_first_ones(
    tmp_path: Path,
) -> None:
    for name, clips, seed in (("a", 2, 0), ("b", 2, 0), ("c", 4, 0), ("d", 2, 1)):
        write("egoexo4d", tmp_path / name, clips=clips, frames=6, size=SIZE, seed=seed)
    a, b, c, d = (digests(tmp_path / name) for name in "abcd")
    assert a == b
    films = {name: sha for name, sha in a.items() if name.endswith(".mp4")}
    assert films.items() < c.items()
    assert not set(films.values()) & set(d.values())


def test_the_files_are_those_of_the_layout(tmp_path: Path) -> None:
    summary = write("egoexo4d", tmp_path / "e", clips=5, frames=9, size=(161, 121), seed=0)
    found = {}
    for split, takes in (("train", 4), ("val", 1)):
        relations = json.loads((tmp_path / f"e/annotations/relations_{split}.json").read_text())
        assert relations["take_uids"] == [*relations["annotations"]]
        assert len(relations["annotations"]) == takes
        found.update(relations["annotations"])
    frames = hidden = 0
    for take in found.values():
        folder = tmp_path / "e/takes" / take["take_name"] / "frame_aligned_videos"
        cameras = {path.stem for path in folder.glob("*.mp4")}
        assert "aria01_214-1" in cameras and cameras >= {"cam01", "cam02"}
        for path in folder.glob("*.mp4"):
            with av.open(str(path)) as film:
                stream = film.streams.video[0]
                assert stream.average_rate == Fraction(30)
                ego = path.stem.startswith("aria")
                assert (stream.width, stream.height) == ((120, 120) if ego else (160, 120))
                assert stream.frames == 9
                frames += stream.frames
        for views in take["object_masks"].values():
            assert set(views) == cameras
            for camera, notes in views.items():
                shown = {int(frame) for frame in notes["annotation"]}
                assert shown <= set(notes["annotated_frames"]) <= {0, 2, 4, 6, 8}
                hidden += len(set(notes["annotated_frames"]) - shown)
                for packed in notes["annotation"].values():
                    size = [packed["height"], packed["width"]]
                    assert size == ([240, 240] if camera.startswith("aria") else [480, 640])
                    counts = LZString.decompressFromEncodedURIComponent(packed["encodedMask"])
                    runs = decompress(counts)
                    assert runs.sum() == size[0] * size[1]
                    assert runs[1::2].sum() >= 40 * (4 if camera.startswith("aria") else 16)
    assert (summary.images, summary.absent) == (frames, hidden)
    assert hidden > 0


def test_a_long_clip_is_annotated_once_a_second(tmp_path: Path) -> None:
    write("egoexo4d", tmp_path / "e", clips=1, frames=61, size=(96, 72), seed=0)
    relations = json.loads((tmp_path / "e/annotations/relations_train.json").read_text())
    (take,) = relations["annotations"].values()
    frames = {
        frame
        for views in take["object_masks"].values()
        for notes in views.values()
        for frame in notes["annotated_frames"]
    }
    assert frames == {0, 30, 60}
