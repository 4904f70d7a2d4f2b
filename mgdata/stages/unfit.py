"""What becomes of an item that could not be read, or that a plug-in could not take: a drop.

The one list of errors that concern an item and not the run. Whether too many items were lost is
for `run` to judge.
"""

from __future__ import annotations

from mgdata.data import Drop
from mgdata.errors import PluginError, Rejected, StorageError

UNFIT = (Rejected, StorageError, PluginError)
"""Errors that say something of one item: all others end the run."""


def promised(item: object, *kinds: type) -> None:
    """Hold what a plug-in gave against what its contract says; use inside its boundary.

    Raises:
        TypeError: it is none of `kinds`.
    """
    if not isinstance(item, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"gave a {type(item).__name__}, expected {names}")


def unfit(key: str, stage: str, error: Rejected | StorageError | PluginError) -> Drop:
    """The drop of the item `key`: its reason, and as value what was found or who failed how."""
    if isinstance(error, Rejected):
        return Drop(key=key, stage=stage, reason=error.reason, value=error.value)
    reason = "plug-in error" if isinstance(error, PluginError) else "unreadable file"
    return Drop(key=key, stage=stage, reason=reason, value=str(error))
