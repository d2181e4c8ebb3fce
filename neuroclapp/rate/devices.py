"""Where systems learn: the processors that the environment variable NEUROCLAPP_DEVICE names, else the CPU.

Several, with commas between, share the modules of a system of images. A module needs nothing from those
above it: maps go from each device to the next, and nothing comes back.
"""

from __future__ import annotations

import os

import torch

from ..errors import InputError
from .modular import ModularNetwork
from .soundnet import SoundNetwork

VARIABLE = "NEUROCLAPP_DEVICE"


def named() -> tuple[torch.device, ...]:
    """Return the devices that are asked for; raise InputError where there is no such device."""
    value = os.environ.get(VARIABLE) or "cpu"
    found = []
    for name in value.split(","):
        try:
            device = torch.device(name.strip())
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InputError("environment", VARIABLE, value, f"no such device: {reason}") from None
        found.append(device)
    return tuple(found)


def place(network: ModularNetwork) -> None:
    """Move a network's arrays to the devices that are asked for, modules in equal parts, lowest first."""
    devices, modules = named(), len(network.modules_of)
    if len(devices) > 1 and isinstance(network, SoundNetwork):
        allowed = "a system of sound learns on one device"
        raise InputError("environment", VARIABLE, os.environ[VARIABLE], allowed)
    network.place([devices[index * len(devices) // modules] for index in range(modules)])
