"""A file of predictions: JSON lines `{"id": ..., "text": ..., "turn": 0}`, read strictly.

It knows no release and no benchmark: which ids there are is for others to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from mgdata.errors import UsageError

Key = tuple[str, int]
"""Id of the sample or item, and the turn."""

_BOM = b"\xef\xbb\xbf"


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a predictions file; keys beside these are not looked at."""

    id: str | int
    """Sample id, MIG-Bench's row number (from 0) or MC-Bench's description id."""
    text: str
    """What the model said, and nothing else."""
    turn: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Which turn of the sample it answers, from 0."""


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """All texts of a file."""

    texts: dict[Key, str]
    """The first text that was given for each turn."""
    repeated: Sequence[Key]
    """Turns for which another text came later."""


def read_predictions(file: Path) -> Predictions:
    """Read a whole file; blank lines are skipped.

    Raises:
        UsageError: it is not there, holds nothing, or a line is no prediction; says which.
    """
    texts: dict[Key, str] = {}
    repeated: list[Key] = []
    for one in _lines(file):
        key = (str(one.id), one.turn)
        if key in texts:
            repeated.append(key)
        else:
            texts[key] = one.text
    if not texts:
        raise UsageError(f'{file} holds no prediction: expected lines of {{"id": .., "text": ..}}')
    return Predictions(texts=texts, repeated=repeated)


def _lines(file: Path) -> Iterator[Prediction]:
    decoder = msgspec.json.Decoder(Prediction)
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                line = line.removeprefix(_BOM) if number == 1 else line
                if line.strip():
                    try:
                        yield decoder.decode(line)
                    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
                        raise UsageError(
                            f"{file}:{number}: {error}: expected a JSON object with an id and a "
                            'text, all on this line: {"id": "..", "text": ".."}'
                        ) from None
    except FileNotFoundError:
        raise UsageError(f"no file {file}") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
