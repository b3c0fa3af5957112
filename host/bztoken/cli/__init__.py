"""The command line: one module a command; reads options, calls the package, prints. No logic lives here."""
