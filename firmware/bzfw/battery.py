"""The battery: when the light asks for the charger, when the token stops listening, when it stops broadcasting.

Listening is what costs; a token that only broadcasts can still be found by others. The log is kept to the last.
"""

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .hal import Hal

_UNKNOWN = const(0)
_GOOD = const(1)
_LOW = const(2)
_SAVING = const(3)
_EMPTY = const(4)
_SAVING_SHARE = const(3)  # saving begins where a third of the way from low to empty is left
_HYSTERESIS_MV = const(80)  # the voltage rises when the load goes


class Battery:
    """state: 0 unknown (the board cannot tell), 1 good, 2 low, 3 saving, 4 empty; mv: as last read."""

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self.mv = 0
        self.state = _UNKNOWN

    def look(self) -> bool:
        """Measure; True when the state has changed. To be called about once a minute."""
        low_mv, empty_mv = self._hal.battery_limits_mv
        self.mv = self._hal.battery_mv()
        if not self.mv or not low_mv:
            return False
        saving_mv = empty_mv + (low_mv - empty_mv) // _SAVING_SHARE
        before = self.state
        for state, limit_mv in ((_EMPTY, empty_mv), (_SAVING, saving_mv), (_LOW, low_mv)):
            if self.mv < limit_mv + (_HYSTERESIS_MV if before >= state else 0):
                self.state = state
                break
        else:
            self.state = _GOOD
        return self.state != before

    def wants_charge(self) -> bool:
        """True when the light has to ask for the charger."""
        return self.state >= _LOW

    def saves(self) -> bool:
        """True when the token must not listen any more."""
        return self.state >= _SAVING

    def is_empty(self) -> bool:
        """True when the radio must stay off."""
        return self.state == _EMPTY
