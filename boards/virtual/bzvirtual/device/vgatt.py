"""The part of `bluetooth.BLE` that connects to others and reads from them, and what happens when others connect.

Traps: a connection that failed is told as a disconnection of 0xFFFF without the peer's address; data are memoryviews
that die with the call; a peer that never answers holds the connection for half a minute.
"""

import struct

import pipe
from vclock import clock as _clock
from vuuid import UUID

_IRQ_CENTRAL_CONNECT = 1
_IRQ_CENTRAL_DISCONNECT = 2
_IRQ_PERIPHERAL_CONNECT = 7
_IRQ_PERIPHERAL_DISCONNECT = 8
_IRQ_GATTC_SERVICE_RESULT = 9
_IRQ_GATTC_SERVICE_DONE = 10
_IRQ_GATTC_CHARACTERISTIC_RESULT = 11
_IRQ_GATTC_CHARACTERISTIC_DONE = 12
_IRQ_GATTC_READ_RESULT = 15
_IRQ_GATTC_READ_DONE = 16
# Numbers of the chip's C library, which differ from those of a desktop.
_EALREADY = 120
_ENOTCONN = 128
_RUBBISH = 0xDD


class Connections:
    """Mixed into BLE."""

    def _start_connections(self):
        self._connecting = False
        self._links = set()
        _clock.handlers[pipe.CENTRAL] = self._on_central
        _clock.handlers[pipe.PERIPHERAL] = self._on_peripheral
        _clock.handlers[pipe.SERVICE] = self._on_service
        _clock.handlers[pipe.CHARACTERISTIC] = self._on_characteristic
        _clock.handlers[pipe.VALUE] = self._on_value
        _clock.handlers[pipe.GATT_DONE] = self._on_gatt_done

    def _drop_connections(self):
        """The radio goes off: both sides notice, nobody here is told."""
        for link in self._links:
            self._send(pipe.DISCONNECT, struct.pack(pipe.CONNECTION_ARGS, link))
        if self._connecting:
            self._send(pipe.CONNECT, struct.pack(pipe.CONNECT_ARGS, 0, bytes(6), 0))
        self._links.clear()
        self._connecting = False

    def gap_connect(self, addr_type, addr=b"", scan_duration_ms=2000, min_us=0, max_us=0):
        self._need_active()
        if addr_type is None:
            if self._connecting:
                self._send(pipe.CONNECT, struct.pack(pipe.CONNECT_ARGS, 0, bytes(6), 0))
            return
        if self._connecting:
            raise OSError(_EALREADY)
        if self._scanning:
            self.gap_scan(None)
        self._connecting = True
        self._send(pipe.CONNECT, struct.pack(pipe.CONNECT_ARGS, addr_type, bytes(addr), scan_duration_ms))

    def gap_disconnect(self, conn_handle):
        self._need_active()
        if conn_handle not in self._links:
            return False
        self._send(pipe.DISCONNECT, struct.pack(pipe.CONNECTION_ARGS, conn_handle))
        return True

    def gattc_discover_services(self, conn_handle, uuid=None):
        self._gatt(conn_handle, pipe.SERVICES, 1, 0xFFFF, uuid)

    def gattc_discover_characteristics(self, conn_handle, start_handle, end_handle, uuid=None):
        self._gatt(conn_handle, pipe.CHARACTERISTICS, start_handle, end_handle, uuid)

    def gattc_read(self, conn_handle, value_handle):
        self._gatt(conn_handle, pipe.READ, value_handle, 0, None)

    def _gatt(self, link, what, first, last, uuid):
        self._need_active()
        if link not in self._links:
            raise OSError(_ENOTCONN)
        wanted = b"" if uuid is None else uuid.little
        self._send(pipe.GATT, struct.pack(pipe.GATT_ARGS, link, what, first, last) + wanted)

    def _on_link(self, events, at, up_event, down_event):
        up, link, address_type, address = struct.unpack_from(pipe.LINK_ARGS, events, at)
        if up:
            self._links.add(link)
        elif link in self._links:
            self._links.remove(link)
        elif link != pipe.NO_CONNECTION:
            return  # of before the radio was switched off
        self._shared_address[:] = address
        self._call(up_event if up else down_event, (link, address_type, self._address_view))

    def _on_central(self, events, at, length):
        if events[at]:
            self._advertising = False  # the chip stops it, and does not begin again by itself
        self._on_link(events, at, _IRQ_CENTRAL_CONNECT, _IRQ_CENTRAL_DISCONNECT)

    def _on_peripheral(self, events, at, length):
        self._connecting = False
        self._on_link(events, at, _IRQ_PERIPHERAL_CONNECT, _IRQ_PERIPHERAL_DISCONNECT)

    def _on_service(self, events, at, length):
        link, first, last = struct.unpack_from(pipe.SERVICE_ARGS, events, at)
        uuid = UUID(events[at + 6 : at + length])
        if link in self._links:
            self._call(_IRQ_GATTC_SERVICE_RESULT, (link, first, last, uuid))

    def _on_characteristic(self, events, at, length):
        link, end, value, properties = struct.unpack_from(pipe.CHARACTERISTIC_ARGS, events, at)
        uuid = UUID(events[at + 7 : at + length])
        if link in self._links:
            self._call(_IRQ_GATTC_CHARACTERISTIC_RESULT, (link, end, value, properties, uuid))

    def _on_value(self, events, at, length):
        link, value = struct.unpack_from(pipe.VALUE_ARGS, events, at)
        if link in self._links:
            count = length - 4
            self._shared[:count] = events[at + 4 : at + length]
            self._call(_IRQ_GATTC_READ_RESULT, (link, value, self._shared_view[:count]))
            for place in range(count):
                self._shared[place] = _RUBBISH  # for whoever kept the view

    def _on_gatt_done(self, events, at, length):
        link, what, value, status = struct.unpack_from(pipe.GATT_DONE_ARGS, events, at)
        if link not in self._links:
            return
        if what == pipe.READ:
            self._call(_IRQ_GATTC_READ_DONE, (link, value, status))
        else:
            done = _IRQ_GATTC_SERVICE_DONE if what == pipe.SERVICES else _IRQ_GATTC_CHARACTERISTIC_DONE
            self._call(done, (link, status))
