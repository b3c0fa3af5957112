"""The registry: tokens, logs, pages, sightings, cases and exposures in one encrypted file."""
