"""What the systems of a run are compared with, and what is left of each when that is subtracted."""

from __future__ import annotations

from typing import Any


def minus(results: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """Return accuracy [points] of a system minus that of each that it is compared with, by their names.

    Results of older versions have one system that all others are compared with.
    """
    if "minus_reference" in one:
        return {results["against"]: one["minus_reference"]}
    found: dict[str, Any] = one.get("minus", {})
    return found


def references(results: dict[str, Any]) -> list[str]:
    """Return the names of the systems that others are compared with, in the table's order."""
    against = results["against"]
    named = {against} if isinstance(against, str) else set(against)
    for one in results["systems"].values():
        named.update(minus(results, one))
    return [name for name in results["systems"] if name in named]


def not_compared(results: dict[str, Any]) -> list[str]:
    """Return a sentence for each system that should have been compared with another and could not be."""
    systems = results["systems"]
    return [
        f"{one['title']} is not compared with {systems[name]['title']}: {why}."
        for one in systems.values()
        for name, why in one.get("not_compared", {}).items()
    ]
