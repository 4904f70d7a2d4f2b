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
    from mgdata import api

    # Importing `api` left the modules `run`, `plan` and `preview` here, where the functions belong.
    globals().update(load_recipe=api.load, open_run=api.open_run, plan=api.plan,
                     preview=api.preview, run=api.run)  # fmt: skip
    return globals()[name]
