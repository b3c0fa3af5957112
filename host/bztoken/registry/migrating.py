"""Migrations: which one a registry is at, whether this version knows it, and the way up in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from bztoken.errors import RegistryError
from bztoken.registry.connecting import sentences

MIGRATIONS = Path(__file__).parent / "migrations"


def head_revision() -> str:
    """The migration that this version of the program works with."""
    head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
    if head is None:
        raise RegistryError("the migrations are missing from this installation: install bztoken again")
    return head


def known_revision(engine: Engine, path: Path) -> str:
    """The migration of the registry that an engine opens. Raises RegistryError for one that this version knows not."""
    with sentences(), engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    return require_known(have, path)


def require_known(have: str | None, path: Path) -> str:
    """The migration `have`, when this version knows it. Raises RegistryError."""
    if have is None:
        raise RegistryError(f"{path} holds no registry: restore it from a backup")
    known = {script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()}
    if have not in known:
        raise RegistryError(
            f"{path} was made by a newer version: install that version, `bztoken registry upgrade` cannot go back"
        )
    return have


def migrate(engine: Engine) -> None:
    """Run the migrations that are missing, all or none."""
    config = _alembic_config()
    with engine.execution_options(bz_begin="BEGIN IMMEDIATE").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
