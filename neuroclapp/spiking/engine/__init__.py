"""A plain simulator of `Populations`, many simulations at once, in numpy or torch; no Brian2 in it."""

from .shown import Simulation
from .simulator import Engine

__all__ = ["Engine", "Simulation"]
