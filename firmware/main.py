"""Builds the board and runs the app. Nothing else belongs here."""

from bzfw import app, hal_esp32

app.start(hal_esp32.Esp32Hal(hal_esp32.read_board_file()))
