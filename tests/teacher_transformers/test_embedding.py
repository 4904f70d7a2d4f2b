"""The embedding measure on real checkpoints of random weights."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from environments.clip_checkpoint import WIDTH, write_clip
from PIL import Image as Picture

from mgdata.data import Image, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.measures.embedding import Embedding
from mgdata.stages.measure import record_facts
from mgdata.storage import Root

PHOTOS = 21


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clip") / "tiny"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Photos of several sizes; the last is the first once more."""
    folder = tmp_path_factory.mktemp("looks")
    for number in range(PHOTOS):
        (folder / f"{number}.jpg").write_bytes(stored(photo(number % (PHOTOS - 1))))
    (folder / "torn.jpg").write_bytes((folder / "0.jpg").read_bytes()[:700])
    return Root(str(folder))


def photo(seed: int) -> Picture.Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    size = 100 + 20 * (seed % 5), 80 + 10 * (seed % 3)
    return Picture.fromarray(coarse).resize(size, Picture.Resampling.BICUBIC)


def stored(picture: Picture.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def record(name: str) -> Record:
    image = Image(uri=f"c:{name}", width=64, height=48)
    return Record(key=f"c/{name}", shape="image", unit=name, images=(image,), regions=(),
                  license="CC0-1.0")  # fmt: skip


def embedded(root: Root, names: list[str], **settings: Any) -> list[bytes | None]:
    measure = Embedding(device="cpu", **settings)
    table, _ = record_facts({"embedding": measure}, map(record, names), {"c": root})
    return table["embedding"].to_pylist()


def numbers(vectors: list[bytes | None]) -> np.ndarray[Any, Any]:
    return np.stack([np.frombuffer(vector or b"", np.int8).astype(int) for vector in vectors])


NAMES = [f"{number}.jpg" for number in range(PHOTOS)]


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_equal_images_have_equal_vectors_of_one_length_and_others_have_others(
    kind: Any, root: Root, tmp_path: Path
) -> None:
    model = str(write_clip(tmp_path / kind, kind))
    found = embedded(root, NAMES, model=model, batch=PHOTOS + 1)
    assert found[0] == found[-1] and len(set(found)) == PHOTOS - 1
    lengths = np.sqrt((numbers(found) ** 2).sum(axis=1))
    assert np.abs(lengths - 127).max() < 4
    assert {len(vector or b"") for vector in found} == {WIDTH if kind == "clip" else 32}


def test_a_vector_is_what_the_model_says_of_the_picture(clip: str, root: Root) -> None:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    model, processor = AutoModel.from_pretrained(clip), AutoImageProcessor.from_pretrained(clip)
    inputs = processor(images=photo_of(root, "3.jpg"), return_tensors="pt")
    with torch.inference_mode():
        given = model.get_image_features(**inputs)
    vector = (given if isinstance(given, torch.Tensor) else given.pooler_output)[0].double().numpy()
    wanted = vector / np.linalg.norm(vector) * 127
    found = numbers(embedded(root, ["3.jpg"], model=clip))[0]
    assert np.abs(found - wanted).max() < 0.51


def photo_of(root: Root, name: str) -> Picture.Image:
    return Picture.open(io.BytesIO(root.read(name)))


def test_the_same_photos_give_the_same_bytes_again(clip: str, root: Root) -> None:
    assert embedded(root, NAMES, model=clip) == embedded(root, NAMES, model=clip)


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_neither_batch_nor_neighbours_move_a_vector_by_more_than_rounding(
    batch: int, clip: str, root: Root
) -> None:
    wanted = numbers(embedded(root, NAMES, model=clip, batch=8))
    found = numbers(embedded(root, NAMES, model=clip, batch=batch))
    turned = numbers(embedded(root, NAMES[::-1], model=clip, batch=batch))[::-1]
    assert np.abs(found - wanted).max() <= 1 and np.abs(turned - wanted).max() <= 1
    assert (found == wanted).mean() > 0.99


def test_a_damaged_or_missing_image_is_unfit_alone(clip: str, root: Root) -> None:
    names = ["0.jpg", "torn.jpg", "1.jpg", "gone.jpg", "2.jpg"]
    measure = Embedding(model=clip, device="cpu", batch=2, fact="looks")
    table, drops = record_facts({"embedding": measure}, map(record, names), {"c": root})
    assert [(drop.key, drop.reason) for drop in drops] == [
        ("c/torn.jpg", "truncated image"), ("c/gone.jpg", "unreadable file")
    ]  # fmt: skip
    found = table["looks"].to_pylist()
    whole = embedded(root, ["0.jpg", "1.jpg", "2.jpg"], model=clip, batch=2)
    assert found[1] is found[3] is None
    assert np.abs(numbers([found[0], found[2], found[4]]) - numbers(whole)).max() <= 1


def test_every_kind_of_file_is_looked_at_upright_and_in_colour(clip: str, root: Root) -> None:
    exif = Picture.Exif()
    exif[0x0112] = 6
    own = photo(5)
    folder = Path(root.url)
    (folder / "own.png").write_bytes(stored(own, "PNG"))
    (folder / "turned.jpg").write_bytes(
        stored(own.transpose(Picture.Transpose.ROTATE_90), quality=98, exif=exif)
    )
    (folder / "clear.png").write_bytes(stored(own.convert("RGBA"), "PNG"))
    (folder / "cmyk.jpg").write_bytes(stored(own.convert("CMYK"), quality=98))
    (folder / "aside.png").write_bytes(stored(own.transpose(Picture.Transpose.ROTATE_90), "PNG"))
    names = ["own.png", "turned.jpg", "clear.png", "cmyk.jpg", "aside.png", "6.jpg"]
    own_, *others = numbers(embedded(root, names, model=clip))
    *alike, aside, other = [float(np.linalg.norm(own_ - one)) for one in others]
    assert 3 * max(alike) < min(aside, other)


def test_a_model_that_embeds_no_images_is_refused(checkpoint: Path, root: Root) -> None:
    with pytest.raises(UsageError, match="no vector of an image: name a CLIP"):
        embedded(root, NAMES[:1], model=str(checkpoint))


def test_a_folder_without_a_model_is_a_failure_of_the_environment(
    root: Root, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentFailure, match="transformers does not load"):
        embedded(root, NAMES[:1], model=str(tmp_path))
