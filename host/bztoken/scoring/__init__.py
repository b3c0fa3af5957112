"""Scoring: presets, data files that say who counts as a close contact, and the arithmetic of each kind of them."""

from bztoken.matching.rules import Preset
from bztoken.scoring.about import Described
from bztoken.scoring.attenuation import corrected
from bztoken.scoring.preset_files import DEFAULT, load, names

__all__ = ["DEFAULT", "Described", "Preset", "corrected", "load", "names"]
