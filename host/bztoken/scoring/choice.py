"""Which preset a registry scores with: the one that an admin chose, else the default."""

from sqlalchemy.orm import Session

from bztoken.errors import ScoringError
from bztoken.registry import permissions, settings
from bztoken.scoring.about import Described
from bztoken.scoring.preset_files import DEFAULT, load, names

SETTING = "scoring"


def chosen(session: Session) -> Described:
    """The preset in force. Raises ScoringError when the one that was chosen is not in this version of the program."""
    name = chosen_name(session)
    if name not in names():
        raise ScoringError(
            "The preset that was chosen for this registry is not in this version of the program: nothing was scored; "
            "install the version that has it, or choose another one with `bztoken scoring choose`."
        )
    return load(name)


def choose(session: Session, name: str, now_s: int) -> bool:
    """Score with this preset from the next `bztoken match` on; answers whether that is another one than before.

    Raises NotAllowed, or ScoringError when there is no such preset; then nothing was changed.
    """
    permissions.require(session, permissions.CHOOSE_RULE)
    load(name)
    if name == chosen_name(session):
        return False
    return settings.put(session, SETTING, name, now_s)


def chosen_name(session: Session) -> str:
    """Of the preset in force, whether this version has it or not."""
    return settings.get(session, SETTING) or DEFAULT
