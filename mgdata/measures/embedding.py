"""What does the first image of a record show, as an image encoder sees it: for look-alike groups.

Any checkpoint that transformers opens and that embeds images beside text: CLIP, SigLIP and their
kin. Knows nothing of which images are compared. Its packages are not there where mgdata is merely
installed, so they are imported by name.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from mgdata.data import Image, Record
from mgdata.edits import thumbnail
from mgdata.errors import EnvironmentFailure, Rejected, StorageError, UsageError
from mgdata.images import load, verify
from mgdata.measures.vectors import as_bytes
from mgdata.plugins import Fact, Measure, MeasureMany

THREADS = 8
"""Most threads that read and decode while the model runs."""
_WIDE = 1024
"""Longest side, in pixels, at which other files than JPEG are taken."""


@dataclass(frozen=True, kw_only=True)
class Embedding(Measure):
    """Fact `embedding` of one record: its first image as the checkpoint embeds it, a byte a number.

    The output of `get_image_features`, divided by its length, times 127, rounded to whole numbers:
    the product of two vectors over 127 * 127 is their cosine, up to rounding. A photo has one
    image; of a clip, a pair or a set it is the first that is embedded.

    Every batch has `batch` images, the last one filled up with blank ones, so that the model never
    meets another shape. Rows of a batch may still be rounded otherwise than alone: same recipe,
    same bytes holds on machines of one kind, with the same `batch` (batches never reach over the
    256 records that are measured at once, nor over a part of the corpus).
    """

    keyed: ClassVar[Literal["image", "record"]] = "record"

    model: str
    """Folder of a checkpoint, or its name on the hub: `openai/clip-vit-large-patch14`."""
    revision: str = "main"
    """Branch, tag or commit on the hub; a commit is the only one that stays what it is."""
    batch: int = 32
    """Images that run together."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """Where it runs; `auto`: on a GPU if this machine has one."""
    dtype: str = "float32"
    """Of weights and activations; `auto` is the checkpoint's own."""
    fact: str = "embedding"
    """Name of the fact, a column of the index."""

    def __post_init__(self) -> None:
        """Refuse a batch of nothing."""
        if self.batch < 1:
            raise ValueError(f"batch: expected at least 1, found {self.batch}")

    @property
    def gpus(self) -> float:
        """GPUs that a worker takes; `auto` looks at the machine that asks."""
        if self.device == "auto":
            return float(any(Path("/dev").glob("nvidia[0-9]*")))
        return float(self.device == "gpu")

    @contextmanager
    def open(self, read: Callable[[Image], bytes]) -> Generator[MeasureMany]:
        """Load the model; let go of it at the end.

        Raises:
            EnvironmentFailure: torch or transformers is missing, or the model does not load.
            UsageError: it is a model of another kind.
        """
        encoder = Encoder(self)
        threads = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
        try:
            yield lambda records: self._measured(encoder, threads, read, records)
        finally:
            threads.shutdown(cancel_futures=True)
            encoder.close()

    def _measured(
        self,
        encoder: Encoder,
        threads: ThreadPoolExecutor,
        read: Callable[[Image], bytes],
        records: Sequence[Record],
    ) -> list[Mapping[str, Fact] | Rejected | StorageError]:
        def prepared(record: Record) -> Any:
            try:
                return encoder.pixels(picture(read(record.images[0])))
            except (Rejected, StorageError) as error:
                return error

        found: list[Any] = [None] * len(records)
        whole: list[tuple[int, Any]] = []
        for place, ready in enumerate(threads.map(prepared, records)):
            if isinstance(ready, Rejected | StorageError):
                found[place] = ready
                continue
            whole.append((place, ready))
            if len(whole) == self.batch:
                self._write(encoder, whole, found)
                whole = []
        self._write(encoder, whole, found)
        return found

    def _write(self, encoder: Encoder, some: Sequence[tuple[int, Any]], found: list[Any]) -> None:
        for (place, _), vector in zip(some, encoder.vectors([p for _, p in some]), strict=True):
            found[place] = {self.fact: vector}


class Encoder:
    """A model that is loaded."""

    def __init__(self, settings: Embedding) -> None:
        self._torch, automatic = _package("torch"), _package("transformers")
        self._batch = settings.batch
        sees = self._torch.cuda.is_available()
        if settings.device == "gpu" and not sees:
            raise EnvironmentFailure("torch sees no GPU here: set device to cpu or auto")
        self._device = "cuda" if sees and settings.device != "cpu" else "cpu"
        try:
            source: dict[str, Any] = {"revision": settings.revision}
            self._processor = automatic.AutoImageProcessor.from_pretrained(settings.model, **source)
            model = automatic.AutoModel.from_pretrained(
                settings.model, dtype=settings.dtype, **source
            )
        except Exception as error:  # the hub's, the driver's, the model's: of any type
            raise EnvironmentFailure(
                f"transformers does not load {settings.model}: {type(error).__name__}: {error}"
            ) from error
        # Models that answer in words have the first of these too, and give a vector a patch.
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise UsageError(
                f"measure embedding: {settings.model} is a {type(model).__name__}, which gives no "
                "vector of an image: name a CLIP, SigLIP or like checkpoint"
            )
        self._model = model.to(self._device).eval()

    def pixels(self, image: Any) -> Any:
        """A picture as the model wants it: channels x height x width. Any thread may ask."""
        return self._processor(images=image, return_tensors="pt")["pixel_values"][0]

    def vectors(self, pictures: Sequence[Any]) -> Iterator[bytes]:
        """The vector of each of at most `batch` pictures."""
        if not pictures:
            return
        blank = [self._torch.zeros_like(pictures[0])] * (self._batch - len(pictures))
        inputs = self._torch.stack([*pictures, *blank]).to(self._device, self._model.dtype)
        with self._torch.inference_mode():
            given = self._model.get_image_features(pixel_values=inputs)
        # Since transformers 5 the vector comes with the layers it was made of.
        given = given if isinstance(given, self._torch.Tensor) else given.pooler_output
        rows: np.ndarray[Any, np.dtype[np.float32]] = given.float().cpu().numpy()
        yield from as_bytes(rows[: len(pictures)])

    def close(self) -> None:
        """Let the weights go."""
        del self._model
        gc.collect()
        if self._device == "cuda":
            self._torch.cuda.empty_cache()


def picture(data: bytes) -> Any:
    """A stored image as an upright RGB picture of Pillow's.

    Raises:
        Rejected: it cannot be decoded.
    """
    from PIL import ImageOps

    header = verify(data, "header")
    if header.format != "jpeg" or header.mode == "cmyk":
        # Turned upright, flattened over white and made 8-bit for every kind of file.
        verify(data)
        data = thumbnail(data, _WIDE)
        return load(data, verify(data, "header"))
    return ImageOps.exif_transpose(load(data, header)).convert("RGB")


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # a compiled package that does not fit fails in any way
        raise EnvironmentFailure(
            f"measure embedding needs {name}, which does not import here ({error}): "
            "`pip install torch torchvision transformers`, or use the measure appearance"
        ) from error
