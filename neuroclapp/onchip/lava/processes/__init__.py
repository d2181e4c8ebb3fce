"""Lava processes with their float models.

Lava's compiler imports every module beside a process's own, by path: each module here imports safely and
absolutely.
"""
