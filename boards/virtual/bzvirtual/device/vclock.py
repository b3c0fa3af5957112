"""The token's view of time, and the pipe to the ether that owns it.

Lockstep: time stands still while the token computes, and `wait` hands the turn to the ether. Real time: the host's
clock plus a fixed offset, and `wait` really sleeps. Everything that interrupts an ESP32 (scan results, button edges,
serial input) arrives here as an event and is given to the handler that its module registered.
"""

import select
import struct
import sys
import time

import pipe

# Interrupts taken in one go before the main program runs again: what an ESP32 would fit between two loop turns.
EVENTS_PER_TURN = 32
BUFFER_BYTES = 2048
LONGEST_EVENT_BYTES = 64
TICKS_PERIOD = 1 << 30  # of the ESP32 port, in ms: 12.43 days
EPOCH_2000_S = 946684800


class Link:
    """Commands out, wakes in. A wake's events are read piece by piece into one buffer: it must not need memory."""

    def __init__(self, descriptor_in, descriptor_out):
        self._in = open(descriptor_in, "rb")
        self._out = open(descriptor_out, "wb")
        self._pending_out = []
        self._head = bytearray(pipe.WAKE_BYTES)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._unread = 0  # bytes of the present wake that are still in the pipe

    def send(self, kind, time_us, payload=b""):
        self._pending_out.append(pipe.command(kind, time_us, payload))

    def flush(self):
        if self._pending_out:
            self._out.write(b"".join(self._pending_out))
            self._pending_out = []

    def stand_still(self):
        """Do nothing more until the ether ends this process."""
        self.flush()
        while True:
            self._read_into(self._buffer)

    def _read_into(self, view):
        at = 0
        while at < len(view):
            count = self._in.readinto(view[at:])
            if not count:
                sys.exit(0)  # the ether is gone: power off
            at += count

    def read_wake(self):
        """(time, first events); the events are good until the next `read_more` or `read_wake`."""
        self._read_into(memoryview(self._head))
        now_us, self._unread = struct.unpack(pipe.WAKE, self._head)
        return now_us, self.read_more(self._buffer[:0])

    def read_more(self, rest):
        """What follows after `rest`, the part of an event that stood at the end of the buffer."""
        kept = len(rest)
        self._buffer[:kept] = bytes(rest)
        count = min(self._unread, BUFFER_BYTES - kept)
        self._read_into(self._buffer[kept : kept + count])
        self._unread -= count
        return self._buffer[: kept + count]

    def has_more(self):
        return self._unread > 0

    def stream(self):
        return self._in


class Clock:
    """Shared by all stand-in modules; made once by `start`."""

    def __init__(self, link, now_us, config):
        self.link = link
        self.lockstep = config["lockstep"]
        self._world_offset_us = now_us - time.time_ns() // 1000
        self._now_us = now_us
        self._ticks_zero_us = now_us - config["ticks_at_boot_ms"] * 1000
        self._rtc_base_us = now_us
        self._rtc_at_base_us = now_us + config["rtc_offset_us"]
        self._drift_ppm = config["drift_ppm"]
        self._events = b""
        self._at = 0
        self._wake_us = now_us
        self.handlers = {}
        self.serial_hint = True
        self.asleep = False
        self.before_sleep = []  # called when the chip is about to stop
        self.before_wait = []  # called when the program is about to wait
        self.watchdog_us = -1  # when the watchdog bites unless it is fed; -1: none
        self.on_watchdog = None
        self.handlers[pipe.CLOCK_JUMP] = self._on_jump
        self._real_poll = select.poll()
        self._real_poll.register(sys.stdin.buffer, select.POLLIN)
        if not self.lockstep:
            self._real_poll.register(link.stream(), select.POLLIN)
        self._nap_poll = select.poll()
        self._nap_poll.register(link.stream(), select.POLLIN)
        self._stdin_poll = select.poll()
        self._stdin_poll.register(sys.stdin.buffer, select.POLLIN)

    # -- reading time ------------------------------------------------------------------------------------------
    def now_us(self):
        if self.lockstep:
            return self._now_us
        return time.time_ns() // 1000 + self._world_offset_us

    def ticks_us(self):
        return self.now_us() - self._ticks_zero_us

    def rtc_us(self):
        elapsed = self.now_us() - self._rtc_base_us
        return self._rtc_at_base_us + elapsed + elapsed * self._drift_ppm // 1000000

    def set_rtc_us(self, rtc_us):
        self._rtc_base_us = self.now_us()
        self._rtc_at_base_us = rtc_us
        self.link.send(pipe.RTC_SET, self._rtc_base_us, struct.pack(pipe.RTC_ARGS, rtc_us - self._rtc_base_us))

    def _on_jump(self, events, at, length):
        self._rtc_at_base_us += struct.unpack_from(pipe.JUMP_ARGS, events, at)[0]

    def slept_us(self, amount_us):
        """How long a sleep of this length by the chip's slow clock lasts in truth."""
        return amount_us * 1000000 // (1000000 + self._drift_ppm)

    def count_sleep(self, true_us):
        """The ticks of a sleep are counted by the slow clock, and are wrong by its drift afterwards."""
        self._ticks_zero_us -= true_us * self._drift_ppm // 1000000

    # -- letting time pass -------------------------------------------------------------------------------------
    def spend_us(self, amount_us):
        """The processor is busy (a flash erase): nothing else runs meanwhile."""
        if self.lockstep:
            self._now_us += amount_us

    def stdin_ready(self):
        if not self.serial_hint and self.lockstep:
            return False
        ready = bool(self._stdin_poll.poll(0))
        self.serial_hint = ready
        return ready

    def wait(self, until_us):
        """Return when something happened or the time has come; the caller looks what it was."""
        for tell in self.before_wait:
            tell()
        if self.watchdog_us >= 0:
            self.check_watchdog()
            until_us = self.watchdog_us if until_us < 0 else min(until_us, self.watchdog_us)
        if self._at < len(self._events) or self.link.has_more():
            self._deliver()
        elif self.lockstep:
            self._wait_lockstep(until_us)
        else:
            self._wait_real(until_us)

    def sleep(self, until_us):
        """Blocking sleep: interrupts are served meanwhile."""
        while self.now_us() < until_us:
            self.wait(until_us)
        self.check_watchdog()

    def check_watchdog(self):
        """Bite when the time is over."""
        if 0 <= self.watchdog_us <= self.now_us():
            self.on_watchdog(self.watchdog_us)

    def _wait_lockstep(self, until_us):
        if self._now_us < self._wake_us:  # all events of the last wake are delivered
            self._now_us = self._wake_us
            if self._now_us >= until_us:
                return
        until_us = pipe.FOR_EVER if until_us < 0 else until_us
        self.link.send(pipe.WAIT, self._now_us, struct.pack(pipe.WAIT_ARGS, until_us))
        self.link.flush()
        wake_us, self._events = self.link.read_wake()
        self._at = 0
        self._wake_us = max(wake_us, self._now_us)
        if self._events:
            self._deliver()
        else:
            self._now_us = self._wake_us

    def _wait_real(self, until_us):
        self.link.flush()
        left_ms = -1 if until_us < 0 else max(0, (until_us - self.now_us() + 999) // 1000)
        for stream, _flags in (self._nap_poll if self.asleep else self._real_poll).poll(left_ms):
            if stream is self.link.stream():
                _now, self._events = self.link.read_wake()
                self._at = 0
                self._deliver()
            else:
                self.serial_hint = True

    def _deliver(self):
        if len(self._events) - self._at < LONGEST_EVENT_BYTES and self.link.has_more():
            self._events, self._at = self.link.read_more(self._events[self._at :]), 0
        events, at = self._events, self._at
        for _ in range(EVENTS_PER_TURN):
            if at >= len(events) or (self.link.has_more() and len(events) - at < LONGEST_EVENT_BYTES):
                break
            # By hand: a tuple of three is more than one heap block, and the search for two costs ten times this.
            kind = events[at]
            time_us = int.from_bytes(events[at + 1 : at + 9], "little")
            length = events[at + 9]
            at += pipe.EVENT_BYTES
            if time_us > self._now_us:
                self._now_us = time_us
            self._at = at + length
            self._dispatch(kind, events, at, length)
            at += length
        self._at = at
        if at >= len(events) and not self.link.has_more() and self.lockstep and self._now_us < self._wake_us:
            self._now_us = self._wake_us

    def _dispatch(self, kind, events, at, length):
        if kind == pipe.SERIAL:
            self.serial_hint = True
            return
        if self.asleep and kind not in pipe.WHILE_ASLEEP:
            return
        handler = self.handlers.get(kind)
        if handler:
            handler(events, at, length)


clock = None


def start(link, now_us, config):
    """Start time. Called once by the board's boot."""
    global clock
    clock = Clock(link, now_us, config)
    return clock
