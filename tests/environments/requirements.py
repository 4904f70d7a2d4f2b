"""What a distribution asks for and an environment has not, or has at another version."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement


def unmet(name: str) -> list[str]:
    """The requirements of a distribution, extras aside, that this environment does not meet."""
    asked = [Requirement(line) for line in metadata.requires(name) or ()]
    needed = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [f"{one}, found {found(one.name)}" for one in needed if not met(one)]


def met(requirement: Requirement) -> bool:
    """Whether the installed version is one that is asked for."""
    version = found(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def found(name: str) -> str | None:
    """The installed version; None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
