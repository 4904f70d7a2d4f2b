"""What is drawn from a record's key alone, so that choosing and building draw the same.

Not a task; `semantic_association` uses it. A group carries row numbers and nothing else: which kind
of question its first photo is for, and which of that photo's classes is asked about, `groups` and
`build` each work out from the key. It knows no kind and no class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from mgdata.identity import name_hash

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
"""One number of 64 bits for each record."""

Name = TypeVar("Name", bound=str)

_ALL = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def keys(names: Iterable[str]) -> Keys:
    """Of records' keys, a number each that the functions below take."""
    return np.array([name_hash(name) for name in names], np.uint64)


def kind(key: str, weights: Mapping[Name, float]) -> Name:
    """What a record is for, as often as the weights say."""
    names = list(weights)
    return names[int(kinds(keys([key]), list(weights.values()))[0])]


def kinds(found: Keys, weights: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each record the place of its kind among the weights."""
    share = (_mixed(found) >> 11) * 2.0**-53
    steps = np.cumsum(np.array(weights, np.float64))
    place = np.searchsorted(steps, share * steps[-1], side="right")
    return np.minimum(place, len(weights) - 1)


def first(key: str, labels: Iterable[str]) -> str | None:
    """One of some labels, each as likely as another; None where there is none."""
    mine = name_hash(key)
    ranked = [(_mixed((mine + _STEP * name_hash(label)) & _ALL), label) for label in labels]
    return min(ranked)[1] if ranked else None


def ranks(found: Keys, labels: Keys) -> Keys:
    """Numbers of which `first` takes the least: for records and labels, one beside the other."""
    return _mixed(found + np.uint64(_STEP) * labels)


def _mixed(value: Any) -> Any:
    """64 bits shuffled so that each bit hangs on all: SplitMix64's last steps (Steele et al. 2014).

    Of an integer or of an array of them, with equal results.
    """
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _ALL
    return value ^ (value >> 31)
