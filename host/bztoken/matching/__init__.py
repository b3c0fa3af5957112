"""Who was near a case: exact ID matching by the day (kernel), minutes and bands (rules), registry and loose files."""
