"""The table of a run of worlds for the terminal."""

import numpy as np
import pytest

from neuroclapp.analysis.measures import summarise
from neuroclapp.run.table import _AGREEMENT, _GATES, table


def results(seeds):
    """Figures of two layers, seed ``n`` with ``n`` points more than the first."""

    def figures(mean):
        return summarise([(np.array(mean) + n).tolist() for n in range(seeds)])

    return {
        "experiment": "small",
        "layers": ["one", "two"],
        "seeds": list(range(3, 3 + seeds)),
        "cost": {"train": {"wall_s": 2.0}},
        **{key: {"rate": figures([55.6, 44.0])} for key in ("accuracy", "accuracy_few_labels")},
        **{
            key: {"spiking_minus_rate": figures([-0.25, 1.0])}
            for key in ("paired_difference", "paired_difference_few_labels")
        },
        "agreement": {
            **{key: {"w_ff": figures([0.99, 0.98])} for key, _ in _AGREEMENT},
            **{key: figures([0.99, 0.98]) for key, _ in _GATES},
        },
    }


@pytest.mark.parametrize("seeds", [1, 2])
def test_intervals_stand_where_there_are_several_seeds(seeds):
    """The interval of two values that are 1 apart is 12.706 / 2."""
    shown = table(results(seeds))
    assert ("55.60" in shown) == (seeds == 1)
    assert ("56.10 +- 6.35" in shown) == ("mean +- 95 % interval" in shown) == (seeds == 2)
    assert ("+-" in shown) == (seeds == 2)
    assert ("small: seed 3 alone" in shown) == (seeds == 1)
