"""Builds the board and runs the app. Nothing else belongs here."""

from bzfw import app, hal_esp32

app.start(hal_esp32.build, hal_esp32.restart)
