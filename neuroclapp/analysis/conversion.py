"""How closely the spike counts of a converted encoder follow its rates, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..spiking.counting import Counted
from ..spiking.unrolled import Array


@dataclass
class LayerConversion:
    """Running sums over the units and presentations of a layer.

    A spike cannot be taken back: ``excess`` are those beyond the net charge that a unit received, rounded.
    ``unsent`` are those that its net charge was worth and that it had no time for.
    """

    spikes: float = 0.0
    excess: float = 0.0
    unsent: float = 0.0
    units: int = 0
    _compared: int = 0
    _moments: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))

    def add(
        self,
        counted: Counted,
        quantum: float,
        rates: NDArray[np.floating],
        sent: NDArray[np.floating] | None = None,
    ) -> None:
        """Add presentations: a layer's spikes, what a spike is worth, and its rates, shaped like the counts.

        Where a layer is pooled, ``sent`` are the spikes that it sends on, and ``rates`` are shaped like them.
        """
        due = np.maximum(np.round(counted.charge), 0.0)
        self.spikes += float(counted.count.sum())
        self.excess += float(np.maximum(counted.count - due, 0.0).sum())
        self.unsent += float(np.maximum(due - counted.count, 0.0).sum())
        self.units += counted.count.size
        x: Array = np.asarray(counted.count if sent is None else sent, dtype=np.float64).ravel() * quantum
        y: Array = np.asarray(rates, dtype=np.float64).ravel()
        self._moments += x.sum(), y.sum(), x @ x, y @ y, x @ y
        self._compared += x.size

    @property
    def correlation(self) -> float:
        """Correlation of activity in spikes with rates; 0 if one of them never changes."""
        x, y, xx, yy, xy = self._moments / self._compared
        spread = (xx - x * x) * (yy - y * y)
        return float((xy - x * y) / np.sqrt(spread)) if spread > 0 else 0.0

    def figures(self) -> dict[str, float]:
        """Return spikes, excess and unsent spikes per unit and presentation, and the correlation."""
        return {
            "spikes": self.spikes / self.units,
            "excess": self.excess / self.units,
            "unsent": self.unsent / self.units,
            "correlation": self.correlation,
        }
