"""Spiking populations: their description, the mapping from rates, and their simulation in Brian2."""
