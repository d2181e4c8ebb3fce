"""Types of weights and of activities by a recipe's precision."""

from __future__ import annotations

import torch

TYPES = {
    "float32": (torch.float32, torch.float32),
    "bfloat16": (torch.float32, torch.bfloat16),
    "float64": (torch.float64, torch.float64),
}
