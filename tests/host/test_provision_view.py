"""What the screen says of a batch: the count in one line, a line for each port."""

import pytest

from bztoken.cli.provision_view import BatchView, in_words, outcome_document
from bztoken.provision import Provisioned
from bztoken.provision_batch import Outcome, State, Tally

DONE = Provisioned("YB-0017-4", "person", "m5stick", "0.4.0")


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(37, 100, 1, 3, 240.0), "37 of 100 provisioned, 1 failed, 3 under way, about 4 min left"),
        (Tally(0, 100, 0, 0, None), "0 of 100 provisioned"),
        (Tally(99, 100, 0, 1, 2.0), "99 of 100 provisioned, 1 under way, less than a minute left"),
        (Tally(100, 100, 0, 0, 0.0), "100 of 100 provisioned"),
        (Tally(12, None, 2, 1, None), "12 provisioned, 2 failed, 1 under way"),
    ],
)
def test_the_count_is_one_line(tally: Tally, said: str) -> None:
    assert in_words(tally) == said


def test_a_line_goes_where_it_belongs(capfd: pytest.CaptureFixture[str]) -> None:
    with BatchView(as_json=False, quiet_bell=False) as view:
        view.over(Outcome("/dev/ttyUSB0", State.PROVISIONED, "YB-0017-4", DONE), is_news=True)
        view.over(Outcome("/dev/ttyUSB1", State.KNOWN, "YB-0018-2"), is_news=True)
        view.over(Outcome("/dev/ttyUSB2", State.FAILED, "YB-0019-8", problem="The cable failed."), is_news=True)
        view.over(Outcome("/dev/ttyUSB2", State.FAILED, "YB-0019-8", problem="The cable failed."), is_news=False)
        view.over(Outcome("/dev/ttyUSB3", State.LEFT_ALONE, problem="It is no token."), is_news=True)
        view.blinks("YB-0017-4")
        view.blinks(None)
        view.has_no_light()
        view.pulled_out("YB-0018-2")
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "/dev/ttyUSB0: YB-0017-4 (person, board m5stick, firmware 0.4.0)",
        "/dev/ttyUSB1: YB-0018-2, provisioned before",
    ]
    assert err.splitlines() == [
        "YB-0019-8 at /dev/ttyUSB2: The cable failed.",
        "/dev/ttyUSB3: It is no token.",
        "Stick label YB-0017-4 on the token that blinks, then pull it out.",
        "These tokens have no light: pull out one at a time, and its label is named here.",
        "Stick label YB-0018-2 on the token that was pulled out just now. Was it more than one? Plug them in again, "
        "and pull out one at a time.",
    ]


def test_the_document_of_a_port_says_what_is_known() -> None:
    assert outcome_document(Outcome("/dev/ttyUSB0", State.PROVISIONED, "YB-0017-4", DONE)) == {
        "port": "/dev/ttyUSB0",
        "state": "provisioned",
        "label": "YB-0017-4",
        "role": "person",
        "board": "m5stick",
        "firmware": "0.4.0",
    }
    assert outcome_document(Outcome("/dev/ttyUSB1", State.FAILED, problem="No.")) == {
        "port": "/dev/ttyUSB1",
        "state": "failed",
        "label": None,
        "problem": "No.",
    }
