"""Reads a token's log by cursor, with the next question on its way while the last answer is still coming in.

The line is then never idle between two answers. A question is at most 83 bytes on the line, so two fit the 260 bytes
that a token's UART keeps while it is busy. Whatever goes wrong, one plain command, which repeats by itself, goes on
from the cursor: asking ahead is for speed only.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from bztoken.link.refusals import AnswerLost, TokenRefused
from bztoken.link.token_link import Question, TokenLink
from bzwire import messages

AHEAD = 2  # questions on their way
_MOST_OFFSET = 0xFFFF  # of a cursor


class Cursor(NamedTuple):
    """A place in the log: so many bytes after the beginning of a page, perhaps in a later one."""

    sequence: int
    offset: int


@dataclass(frozen=True)
class Piece:
    """Bytes of the log from `cursor` on; empty at the end, where cursor.sequence is the next page there will be."""

    cursor: Cursor
    data: bytes


class _Asked(NamedTuple):
    """cursor: of a READ, as the token was asked; None for another command."""

    cursor: Cursor | None
    question: Question


class LogReader:
    """Use `read` with the cursor up to which everything was taken; any cursor is right, the expected one is quick."""

    def __init__(self, link: TokenLink, read_bytes: int) -> None:
        self._link = link
        self._read_bytes = read_bytes
        self._asked: deque[_Asked] = deque()
        self._next: Cursor | None = None  # where the bytes of the oldest question begin, in the reader's own terms

    async def read(self, cursor: Cursor) -> Piece:
        """The bytes at a cursor. Raises TokenRefused or LinkError; then nothing is on its way any more."""
        try:
            try:
                return await self._read(cursor)
            except TokenRefused:  # it restarted, or the last page of a file ended just there
                await self._settle()
        except AnswerLost:
            await self._drop()
        return await self._read_plainly(cursor)

    async def _read(self, cursor: Cursor) -> Piece:
        if self._next != cursor:
            await self._settle()
        reads = sum(asked.cursor is not None for asked in self._asked)
        for number in range(reads, AHEAD):
            await self._ask(self._after(cursor, number))
        answer, asked = await self._next_answer()
        piece = _piece(asked, cursor, answer)
        whole = piece.cursor == cursor and len(piece.data) == self._read_bytes
        self._next = cursor if whole else None
        return piece

    async def _next_answer(self) -> tuple[dict[str, Any], Cursor]:
        """Of the oldest READ, and how it was asked."""
        while True:
            asked, question = self._asked.popleft()
            if asked is not None:
                return await self._link.answer(question), asked
            await self._answer_of(question)

    def _after(self, cursor: Cursor, questions: int) -> Cursor:
        return Cursor(cursor.sequence, cursor.offset + questions * self._read_bytes)

    async def _ask(self, cursor: Cursor) -> None:
        question = await self._link.ask(
            messages.CMD_READ, s=cursor.sequence, o=min(cursor.offset, _MOST_OFFSET), n=self._read_bytes
        )
        self._asked.append(_Asked(cursor, question))

    def moved(self, cursor: Cursor) -> None:
        """All of the last piece was taken: the next one begins here, as the pages in it have shown."""
        if self._next is not None:
            self._next = cursor

    async def settle(self) -> None:
        """Take the answers to questions that are on their way and lead nowhere: other commands may be used after it."""
        try:
            await self._settle()
        except AnswerLost:
            await self._drop()

    async def _settle(self) -> None:
        self._next = None
        while self._asked:
            await self._answer_of(self._asked.popleft().question)

    async def _answer_of(self, question: Question) -> None:
        """Take an answer that nobody waits for."""
        try:
            await self._link.answer(question)
        except TokenRefused:  # a READ beyond the end of a file; an ACKNOWLEDGE is said again at the end
            return

    async def also(self, number: int, **fields: Any) -> None:
        """Send a command among the questions whose answer nobody needs; it may get lost, or be left out.

        One at a time: with two READs it takes 237 bytes on the line, two would not fit what a busy UART keeps.
        """
        if any(asked.cursor is None for asked in self._asked):
            return
        try:
            self._asked.append(_Asked(None, await self._link.ask(number, **fields)))
        except AnswerLost:
            await self._drop()

    async def _drop(self) -> None:
        """Forget what is on its way."""
        self._asked.clear()
        self._next = None
        await self._link.forget_answers()

    async def _read_plainly(self, cursor: Cursor) -> Piece:
        answer = await self._link.command(messages.CMD_READ, s=cursor.sequence, o=cursor.offset, n=self._read_bytes)
        return _piece(cursor, cursor, answer)


def _piece(asked: Cursor, cursor: Cursor, answer: dict[str, Any]) -> Piece:
    """asked: as the token was asked; cursor: the same place as the reader names it now."""
    if answer["s"] == asked.sequence:
        return Piece(cursor, answer["d"])
    return Piece(Cursor(int(answer["s"]), 0), answer["d"])
