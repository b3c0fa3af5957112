"""Runs the migrations over the connection that bztoken.registry.database hands in; it opens nothing itself."""

from alembic import context

from bztoken.registry.models import Base

connection = context.config.attributes["connection"]
# transactional_ddl: SQLite can, once the driver's own transaction handling is off, as it is in database.py
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
