"""Alembic migrations of the registry; run by bztoken.registry.database, there is no alembic.ini."""
