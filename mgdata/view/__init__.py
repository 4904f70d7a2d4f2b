"""The gallery: where people look at samples before they trust them.

`write` makes one folder that opens from `file://` without a network; `overlay` draws one sample as
one PNG. Both take plain data (`Shown`) and know neither tables nor recipes nor notations.
"""

from mgdata.view.gallery import write
from mgdata.view.overlay import overlay
from mgdata.view.shown import ACCEPTED, Exchange, Mark, Picture, Shown, Trace

__all__ = ["ACCEPTED", "Exchange", "Mark", "Picture", "Shown", "Trace", "overlay", "write"]
