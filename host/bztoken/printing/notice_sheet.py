"""What a contact is told, as one A4 side in large print to be handed over; nothing on it says whose it is."""

import io
from collections.abc import Sequence

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from bztoken.errors import PrintError
from bztoken.printing import fonts
from bztoken.printing.text_blocks import Block, Typesetter
from bztoken.tracing.notice_texts import NoticeText

WIDTH_PT, HEIGHT_PT = A4
MARGIN_PT = 18 * mm
TEXT_PT = WIDTH_PT - 2 * MARGIN_PT
TITLE_PT, SMALLEST_PT, LARGEST_PT, STEP_PT = 32.0, 18.0, 26.0, 0.5
FOOT_PT = 9.0
GAP = 0.6  # between two paragraphs, of the size
RULE_INK, FOOT_INK = "#0b6e4f", "#3d4650"


def notice_sheet(text: NoticeText, whom: str = "") -> bytes:
    """A PDF of one page. whom: whom to call, empty leaves a line to write on.

    Raises PrintError: letters that the typeface lacks, or more text than the page holds in large print.
    """
    faces = fonts.register()
    if fonts.missing(whom, faces.bold):
        raise PrintError("the contact has letters that the typeface lacks: use those of Vietnamese and English")
    content = io.BytesIO()
    canvas = Canvas(content, pagesize=A4, invariant=True, lang=text.language.value)
    canvas.setTitle(text.title)
    typesetter = Typesetter(faces)
    top = HEIGHT_PT - MARGIN_PT
    title = typesetter.block(text.title, TITLE_PT, TEXT_PT, RULE_INK, bold=True)
    size, blocks = _fitting(typesetter, text, whom, top - title.height)
    top = _stack(canvas, [title], top, size)
    canvas.setStrokeColor(RULE_INK)
    canvas.line(MARGIN_PT, top + size * GAP / 2, WIDTH_PT - MARGIN_PT, top + size * GAP / 2)
    bottom = _stack(canvas, blocks, top, size)
    if not whom:
        canvas.line(MARGIN_PT, bottom - size, WIDTH_PT - MARGIN_PT, bottom - size)
    foot = typesetter.block(f"v{text.version}", FOOT_PT, TEXT_PT, FOOT_INK)
    foot.draw(canvas, MARGIN_PT, MARGIN_PT / 2)
    canvas.save()
    return content.getvalue()


def _fitting(typesetter: Typesetter, text: NoticeText, whom: str, room: float) -> tuple[float, list[Block]]:
    """The largest size at which everything fits."""
    size = LARGEST_PT
    while size >= SMALLEST_PT:
        last = typesetter.plain(f"{text.call}: {whom}", size, TEXT_PT)
        blocks = [*(typesetter.block(sentence, size, TEXT_PT) for sentence in text.sentences), last]
        if sum(block.height + size * GAP for block in blocks) + 3 * size <= room - MARGIN_PT:
            return size, blocks
        size -= STEP_PT
    raise PrintError("this is more text than one page holds in large print: give a shorter contact")


def _stack(canvas: Canvas, blocks: Sequence[Block], top: float, size: float) -> float:
    """Below each other; where the next one would begin."""
    for block in blocks:
        top -= block.height
        block.draw(canvas, MARGIN_PT, top)
        top -= size * GAP
    return top
