"""Chips: their description, the Loihi rendering of a rule, export to NIR and a rule file, and Lava."""
