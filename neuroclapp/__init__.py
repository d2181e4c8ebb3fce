"""CLAPP (Contrastive, Local And Predictive Plasticity) in rates, in spikes and on neuromorphic chips."""

from .errors import InputError, MissingPackageError, NeuroclappError, RunError
from .network import Layer, Module, Network, Prediction, load_network
from .plasticity import Plasticity, clapp

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "Layer",
    "MissingPackageError",
    "Module",
    "Network",
    "NeuroclappError",
    "Plasticity",
    "Prediction",
    "RunError",
    "clapp",
    "load_network",
]
