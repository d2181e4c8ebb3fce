"""Exported files run in Lava: `jobs` from anywhere, `graph` and `processes` for builders of Lava graphs."""
