"""What the wearer sees and how long they hold the button: the one table that the token plays and the leaflet draws.

A pattern is (colour, blinks, ms lit, ms dark between them, ms dark after the last). SPEC.md "Light", "Button".
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    Colour = tuple[int, int, int]
    Pattern = tuple[Colour, int, int, int, int]

# red, green, blue; a board without a colour shows what it has
DARK = (0, 0, 0)
GREEN = (0, 1, 0)
AMBER = (1, 1, 0)
RED = (1, 0, 0)
BLUE = (0, 0, 1)

WORKING = (GREEN, 1, 40, 0, 59960)
CHARGE_ME = (AMBER, 1, 40, 0, 9960)
EXPOSURE = (AMBER, 2, 200, 300, 9300)
BRING_ME = (RED, 1, 40, 0, 4960)
SAFE_MODE = (RED, 3, 40, 160, 4480)
ASKING = (BLUE, 1, 500, 0, 500)
THANKS = (GREEN, 1, 2000, 0, 0)
LOCATE = ((1, 1, 1), 2, 60, 120, 260)
SWITCHING_OFF = (RED, 5, 100, 100, 0)

ANSWER_MS = 2000  # the state's colour, steady, after a short press
CONSENT_MS = 3000  # the button held so long while a station asks: yes
OFF_MS = 10000  # held so long without a question and without the cable: off
SWITCH_ON_MS = 2000  # held so long while it is off: on
