"""What can be wrong with a board's file: its shape (`boards/board.schema.json`), its sources, and impossible values.

Each problem is one clause, "where: what is wrong, what to do", without a full stop. What a chip can do comes from
`chips.py`; a rule asks "can this pin?", never "which chip?".
"""

from collections.abc import Callable, Iterator
from typing import Any

from bztoken.boards import shape
from bztoken.boards.chips import Chip, pins_of
from bztoken.formats.partition_table import TABLE_AT

# These have no entry in `sources`: names of ours, and what carries its sources inside.
WITHOUT_SOURCE = frozenset({"name", "arch", "sources", "currents", "times", "usb", "flash_map", "taken_pins"})
LIGHTS = ("red", "green", "blue", "mono")
SECTOR_BYTES = 4096
MHZ = 1_000_000
OLDEST_RELEASE = (1, 23, 0)  # of MicroPython: where .mpy 6.3 begins
NO_SUCH_PIN = "give its GPIO number, which is not the number printed on the board"

Rule = Callable[[dict[str, Any], Chip], Iterator[str]]


def problems(description: Any, folder_name: str, chip: Chip | None) -> list[str]:
    """All of them; values are judged only when the shape is right. chip: None when the file names an unknown one."""
    misfits = list(shape.problems(description))
    if misfits:
        return misfits
    found = []
    if description["name"] != folder_name:
        found.append(f"name: it is {description['name']!r}, and the folder {folder_name!r}: give both the same name")
    found += unsourced(description)
    if chip is None:
        return [*found, f"chip: nobody knows {description['chip']!r}: describe it in chips.json, or mend the name"]
    return found + [problem for rule in RULES for problem in rule(description, chip)]


# -- sources -----------------------------------------------------------------------------------------------------------
def figures_of(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Everything with a value and a source of its own, by its place in the file."""
    found = {
        f"{group}.{name}": figure
        for group in ("currents", "times")
        for name, figure in description.get(group, {}).items()
    }
    if "radio_sleeps" in description.get("image", {}):
        found["image.radio_sleeps"] = description["image"]["radio_sleeps"]
    return found


def unknown_facts(description: dict[str, Any]) -> list[str]:
    """Places in the file whose value is null: nobody has published it, or we have not found it."""
    found = [name for name, figure in figures_of(description).items() if figure["value"] is None]
    found += [name for name, value in description.items() if value is None]
    found += [f"image.{name}" for name, value in description.get("image", {}).items() if value is None]
    return [name for name in found if not name.endswith("_source")]


def unsourced(description: dict[str, Any]) -> Iterator[str]:
    """Values without a source, and sources without a value."""
    for name, figure in figures_of(description).items():
        yield from _paired(name, figure["value"], figure["source"])
    for number, port in enumerate(description.get("usb", [])):
        yield from _paired(f"usb[{number}]", port["vid"], port["source"])
    for name in ("flash_map", "taken_pins"):
        if name in description:
            yield from _paired(name, name, description[name]["source"])
    image = description.get("image", {})
    yield from _paired("image.sha256", image.get("sha256"), image.get("sha256_source"))
    sources = description.get("sources", {})
    for name in description.keys() - WITHOUT_SOURCE:
        yield from _paired(name, description[name], sources.get(name))
    for name in sources.keys() - description.keys():
        yield f"sources.{name}: a source for nothing: remove it, or add {name}"


def _paired(name: str, value: object, source: str | None) -> Iterator[str]:
    if value is not None and not (source or "").strip():
        yield f"{name}: it has no source: say where the value is from, or make it null"
    if value is None and (source or "").strip():
        yield f"{name}: it is unknown and has a source: fill the value in, or make the source null"


# -- pins --------------------------------------------------------------------------------------------------------------
def _outputs(description: dict[str, Any]) -> dict[str, int]:
    light = description.get("light", {})
    found = {f"light.{name}": light[name] for name in LIGHTS if name in light}
    if "buzzer" in description:
        found["buzzer.pin"] = description["buzzer"]["pin"]
    if "hold_pin" in description.get("power", {}):
        found["power.hold_pin"] = description["power"]["hold_pin"]
    rtc = description.get("rtc", {})
    return found | {f"rtc.{name}": rtc[name] for name in ("scl", "sda") if name in rtc}


def _inputs(description: dict[str, Any]) -> dict[str, int]:
    found = {f"{name}.pin": description[name]["pin"] for name in ("button", "usb_sense") if name in description}
    if "battery" in description:
        found["battery.adc_pin"] = description["battery"]["adc_pin"]
    return found


def pins_used(description: dict[str, Any]) -> dict[str, int]:
    """GPIO number by the place in the file that names it."""
    return _outputs(description) | _inputs(description)


def _pins_that_the_chip_has(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    taken = pins_of(description.get("taken_pins", {}).get("pins", ""))
    for name, pin in pins_used(description).items():
        if pin in chip.flash_pins:
            yield f"{name}: GPIO {pin} of the {chip.name} belongs to its flash: give another pin"
        elif pin not in chip.pins:
            yield f"{name}: the {chip.name} has no GPIO {pin}: {NO_SUCH_PIN}"
        elif pin in chip.usb_pins:
            yield f"{name}: GPIO {pin} of the {chip.name} is its USB port: give another pin"
        elif pin in taken:
            yield f"{name}: GPIO {pin} is taken on this board (taken_pins): give another pin"


def _pins_used_once(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    seen: dict[int, str] = {}
    for name, pin in pins_used(description).items():
        if pin in seen:
            yield f"{name}: GPIO {pin} is {seen[pin]} already: one of the two is wrong"
        seen.setdefault(pin, name)


def _directions(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    for name, pin in _outputs(description).items():
        if pin in chip.input_only:
            yield f"{name}: GPIO {pin} of the {chip.name} is an input only: give another pin"
    for name in ("button", "usb_sense"):
        place = description.get(name, {})
        pulled = place.get("active_low") and not place.get("external_pull")
        if pulled and place["pin"] in chip.input_only:
            yield (
                f"{name}.pin: GPIO {place['pin']} of the {chip.name} has no pull-up of its own: give another pin, or "
                "say external_pull when the board has a resistor there"
            )


def _light(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    if "light" in description and not any(name in description["light"] for name in LIGHTS):
        yield "light: it names no pin: give one, or take light out"


def _battery(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    battery = description.get("battery")
    if battery is None:
        return
    pin = battery["adc_pin"]
    if pin in chip.pins - chip.adc:
        yield f"battery.adc_pin: GPIO {pin} of the {chip.name} measures nothing: give a pin of its ADC"
    elif pin in chip.adc - chip.adc_beside_radio:
        yield f"battery.adc_pin: GPIO {pin} of the {chip.name} is on ADC 2, which fails at times: give one of ADC 1"
    if battery["divider"] < 1:
        yield "battery.divider: it is battery voltage over pin voltage, so it is not below 1: mend it"
    low, empty = battery.get("low_mv"), battery.get("empty_mv")
    if (low is None) != (empty is None):
        yield "battery: low_mv and empty_mv go together: give both, or none"
    elif low is not None and empty is not None and low <= empty:
        yield f"battery.low_mv: {low} mV is not above empty_mv, {empty} mV: a battery is low before it is empty"


def _waking(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    """What `hal_esp32.power_off` would ask for: the button's way, and ext1 for the cable where the chip has it."""
    way = description.get("power", {}).get("deepsleep_wake")
    if way is None:
        return
    can = chip.wake.get(way)
    pin = description.get("button", {}).get("pin")
    sense = description.get("usb_sense", {}).get("pin")
    without = "leave deepsleep_wake out, and a token that is switched off waits in light sleep"
    if can is None:
        ways = ", ".join(sorted(chip.wake))
        yield f"power.deepsleep_wake: the {chip.name} has no {way}: give one of {ways}, or {without}"
    elif pin is not None and pin not in can:
        yield f"power.deepsleep_wake: GPIO {pin}, the button, cannot wake the {chip.name} by {way}: {without}"
    elif way != "ext1" and sense is not None and sense not in chip.wake.get("ext1", {sense}):
        yield f"usb_sense.pin: GPIO {sense} cannot wake the {chip.name} by ext1: give another pin, or {without}"


def _speed(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    cpu_hz = description.get("power", {}).get("cpu_hz")
    if cpu_hz is not None and cpu_hz not in {mhz * MHZ for mhz in chip.cpu_mhz}:
        speeds = ", ".join(map(str, sorted(chip.cpu_mhz)))
        yield f"power.cpu_hz: the {chip.name} cannot run at {cpu_hz} Hz: give one of {speeds} MHz, in Hz"


# -- flash -------------------------------------------------------------------------------------------------------------
def _partitions(description: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    """Name, offset, size in bytes (None: to the end), in the order of the flash."""
    found = [
        (name, int(part["offset"], 16), int(part["size"], 16) if "size" in part else None)
        for name, part in description["flash_map"].items()
        if name != "source"
    ]
    return sorted(found, key=lambda part: part[1])


def _flash(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    flash_bytes = description["flash_bytes"]
    reached: int | None = TABLE_AT + SECTOR_BYTES if description["image"]["file"] else 0
    before = "the boot loader or its partition table"
    for name, offset, size in _partitions(description):
        if reached is None or offset < reached:
            yield f"flash_map.{name}: it begins at {offset:#x}, inside {before}: one of the two is wrong"
        end = None if size is None else offset + size
        if flash_bytes is not None and max(offset + 1, end or 0) > flash_bytes:
            yield f"flash_map.{name}: it ends past the {flash_bytes} bytes of the flash: mend one of the two"
        reached, before = end, name


def _sectors(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    """A flash is erased by the sector, so everything in it begins and ends with one."""
    flash_bytes = description["flash_bytes"]
    if flash_bytes is not None and flash_bytes % SECTOR_BYTES:
        yield f"flash_bytes: {flash_bytes} is no multiple of {SECTOR_BYTES:#x}, a sector of the flash: mend it"
    for name, offset, size in _partitions(description):
        if offset % SECTOR_BYTES:
            yield f"flash_map.{name}: {offset:#x} is no multiple of {SECTOR_BYTES:#x}, a sector of the flash: mend it"
        if size is not None and (size == 0 or size % SECTOR_BYTES):
            yield f"flash_map.{name}: its size, {size:#x}, is no whole number of sectors of {SECTOR_BYTES:#x}: mend it"


def _image(description: dict[str, Any], chip: Chip) -> Iterator[str]:
    image = description.get("image", {})
    file, url, release = image.get("file"), image.get("url"), image.get("release")
    if file and chip.esptool_name is None:
        yield f"image.file: there is no image for the chip {chip.name}: make it null"
        return
    for name in [name for name in ("release", "url") if file and not image.get(name)]:
        yield f"image.{name}: it is missing beside image.file, {file}: fill it in"
    if file and url and url.rpartition("/")[2] != file:
        yield f"image.url: it does not end with image.file, {file}: one of the two is wrong"
    if release and tuple(map(int, release.lstrip("v").split("."))) < OLDEST_RELEASE:
        oldest = ".".join(map(str, OLDEST_RELEASE))
        yield f"image.release: {release} does not load our compiled files: give v{oldest} or a later one"
    if file and release and release not in file:
        yield f"image.file: {file} does not name the release {release}: one of the two is wrong"
    if file and not file.startswith(image["name"]):
        yield f"image.file: {file} does not begin with image.name, {image['name']}: one of the two is wrong"


RULES: tuple[Rule, ...] = (
    _pins_that_the_chip_has,
    _pins_used_once,
    _directions,
    _light,
    _battery,
    _waking,
    _speed,
    _flash,
    _sectors,
    _image,
)
