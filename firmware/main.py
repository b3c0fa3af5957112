"""Loads the application of the right slot and runs it. Nothing else belongs here: no update replaces this file."""

import gc
import sys

import loader

app, board = loader.load()
del sys.modules["loader"], loader
gc.collect()
app.start(board.build, board.restart)
