"""What stands in for the ESP32 under the real MicroPython interpreter: the official module APIs over a pipe to the
ether.

These files run on MicroPython, on the virtual board only. `pipe` is also read by CPython, so that both ends of the pipe
share one definition.
"""
