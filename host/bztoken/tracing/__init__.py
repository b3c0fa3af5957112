"""From a sick person to the people who were near: cases and their keys, follow-up of contacts, what they are told.

Rows are in `registry`, who was near in `matching`; commands and the page call what is here.
"""
