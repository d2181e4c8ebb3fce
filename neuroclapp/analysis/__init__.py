"""Readouts, agreement between worlds, and statistics over seeds."""
