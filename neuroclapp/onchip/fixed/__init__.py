"""CLAPP in a chip's integers: its program, its scales, and a simulator that Lava's fixed point must equal."""
