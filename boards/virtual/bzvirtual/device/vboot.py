"""Starts a virtual board: supplies the ESP32's modules, mounts the flash as the port's own boot does, runs boot.py and
main.py from the mounted application, or from the flash where it holds /main.py (`vport`).

Run as `micropython -m vboot IN OUT` with the numbers of the pipe's descriptors; the first wake carries the time and, as
JSON, what `bzvirtual.process` knows of the board.
"""

import gc
import json
import sys


def _supply_modules(link, now_us, config):
    import vclock

    clock = vclock.start(link, now_us, config)
    import vos

    seed = config["seed"]
    sys.modules["os"] = vos.make(None if seed is None else bytes.fromhex(seed))
    import vselect
    import vtime

    sys.modules["time"] = vtime
    sys.modules["select"] = vselect
    import vasyncio

    sys.modules["_asyncio"] = vasyncio
    # Loaded here, because the firmware's own path does not hold the stand-ins.
    import bluetooth
    import machine
    import vperipherals
    import vsleep

    board, mac = config["board"], bytes.fromhex(config["mac"])
    bluetooth.configure(mac, config["ble_leak_cycles"])
    driven = {int(pin): level for pin, level in config["pins"].items()}
    machine.configure(config["boot_cause"], bytes.fromhex(config["rtc_memory"]), mac, driven)
    vsleep.configure(config["wake_reason"], board.get("power", {}).get("deepsleep_wake") == "gpio")
    vperipherals.configure(board, config["battery_mv"], config["chip_clock"])
    return clock


def _mount_flash(path, power_cut_after_bytes, application):
    import esp32
    import vfs

    esp32.configure(path, power_cut_after_bytes)
    rom = vfs.VfsPosix(application)
    partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
    try:
        volume = vfs.VfsLfs2(partition, mtime=False)
    # Without file times: the interpreter would take them from the host's clock, and no run could be repeated.
    except OSError:  # blank: the port's inisetup formats it too
        vfs.VfsLfs2.mkfs(partition)
        volume = vfs.VfsLfs2(partition, mtime=False)
    try:
        volume.stat("/main.py")
        import vport as port  # before the stand-ins' folder is out of reach
    except OSError:
        port = None
    vfs.umount("/")
    vfs.mount(volume, "/")
    if port is None:
        vfs.mount(rom, "/rom", readonly=True)
    return port


def _run(descriptor_in, descriptor_out):
    import vclock

    link = vclock.Link(descriptor_in, descriptor_out)
    now_us, piece = link.read_wake()
    text = bytes(piece)
    while link.has_more():
        text += bytes(link.read_more(b""))
    config = json.loads(text)
    clock = _supply_modules(link, now_us, config)
    port = _mount_flash(config["flash"], config["power_cut_after_bytes"], config["application"])
    raw = config["raw_prompt"]
    del config, text, piece
    if port is not None:
        port.run(clock, raw)
        return
    sys.path[:] = ["/rom", "/lib", ".frozen"]
    gc.collect()
    for name in ("boot", "main"):
        __import__(name)
    clock.link.flush()


_run(int(sys.argv[1]), int(sys.argv[2]))
