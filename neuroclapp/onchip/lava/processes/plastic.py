"""Lava's own plastic connection, which leaves its weights in a file: reading them back costs 47 us each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyLearningDenseModelFloat
from lava.proc.dense.process import LearningDense


class PlasticDense(LearningDense):  # type: ignore[misc]
    """A ``LearningDense`` whose weights (post, pre) stand in the .npy file ``record`` after ``steps`` steps.

    ``steps`` must be a multiple of the rule's epoch: weights change at an epoch's end.
    """

    def __init__(self, *, steps: int, record: Path, **options: Any) -> None:
        super().__init__(steps=steps, record=str(record), **options)


@implements(proc=PlasticDense, protocol=LoihiProtocol)
class PlasticDenseModel(PyLearningDenseModelFloat):  # type: ignore[misc]
    implements_process = None  # Lava refuses a model that inherits another process

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._steps, self._record = proc_params["steps"], proc_params["record"]

    def run_lrn(self) -> None:
        super().run_lrn()
        if self.time_step == self._steps:
            np.save(self._record, self.weights, allow_pickle=False)
