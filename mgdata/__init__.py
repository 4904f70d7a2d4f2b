"""mgdata: regenerable corpora for multi-image visual grounding.

The names below are loaded when first used, so that `import mgdata` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgdata.api import load as load_recipe
    from mgdata.api import open_run, plan, preview, run

__all__ = ["load_recipe", "open_run", "plan", "preview", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mgdata' has no attribute {name!r}")
    from mgdata import api  # which puts its functions where its modules' names would be

    return getattr(api, "load" if name == "load_recipe" else name)
