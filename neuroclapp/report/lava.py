"""The report's part on Lava: what was run, and where it differs from the other simulators, by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .document import table
from .style import TARGETS

_NAMES = {
    "samples": "inference: test glimpses",
    "spikes": "inference: spikes",
    "spike_mismatches": "inference: time steps of a unit that differ from Brian2",
    "presentations": "learning, all layers at once: presentations",
    "update_cosine": "cosine of the weight change with the count-based rule",
    "gates_open": "presentations with an open gate",
    "count_mismatches": "spike counts that differ from the engine",
    "gate_mismatches": "gates that differ from the engine",
    "largest_weight_difference": "largest difference of a weight from the engine",
    "largest_difference_from_the_rule": "largest difference of a weight from the count-based rule",
}
_NOTE = (
    "<p>The exported files alone build these Lava processes. The engine is our simulator of the same "
    "populations; the count-based rule is the rule on the counts and gates that Lava itself left.</p>"
)


def lava(figures: dict[str, Any], layers: Sequence[str]) -> list[str]:
    """Return the part as HTML; a figure is one value, one for each layer, or a dict of these by target."""
    rows = [[title, *cells] for title, cells in _rows(figures, len(layers))]
    return ["<h2>Lava</h2>", table(["", *layers], rows), _NOTE]


def _rows(figures: dict[str, Any], width: int) -> Iterator[tuple[str, list[str]]]:
    for key, title in _NAMES.items():
        found = figures.get(key)
        if isinstance(found, dict):
            for target, value in found.items():
                yield f"{title}, {TARGETS.get(target, target)}", _cells(value, width)
        elif found is not None:
            yield title, _cells(found, width)


def _cells(value: Any, width: int) -> list[str]:
    values = value if isinstance(value, list) else [value]
    cells = ["" if one is None else f"{one:.6g}" if isinstance(one, float) else str(one) for one in values]
    return [*cells, *[""] * (width - len(cells))]
