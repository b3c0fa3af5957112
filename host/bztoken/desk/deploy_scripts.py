"""What a board at its prompt is given to run: to tell what is on it, and to put copies in their places.

MicroPython, kept small: a board has 100 KiB for it. Words in braces are filled in.
"""

from collections.abc import Sequence

_ASK = """
import binascii, hashlib, json, os, sys

def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            piece = file.read(512)
            if not piece:
                return binascii.hexlify(found.digest()).decode()
            found.update(piece)

def tell(folder, names):
    for entry in os.ilistdir("/" + folder):
        path = folder + "/" + entry[0] if folder else entry[0]
        if entry[1] == 0x8000 and (not names or entry[0] in names):
            print("bz file", digest("/" + path), path)

print("bz mpy", sys.implementation._mpy)
there = os.listdir("/")
tell("", {names})
for folder in {folders}:
    if folder in there:
        tell(folder, ())
try:
    with open("/board.json") as file:
        print("bz board", json.load(file)["name"])
except (OSError, ValueError, KeyError):
    pass
print("bz end")
"""

_FINISH = """
import os

def remove(path):
    try:
        is_folder = os.stat(path)[0] & 0x4000
    except OSError:
        return
    if is_folder:
        for entry in list(os.ilistdir(path)):
            remove(path + "/" + entry[0])
        os.rmdir(path)
    else:
        os.remove(path)

there = os.listdir("/")
for folder in {folders}:
    if folder not in there:
        os.mkdir("/" + folder)
for path in {copied}:
    os.rename({stage} + path, "/" + path)
for path in {gone}:
    remove("/" + path)
"""


def ask(names: Sequence[str], folders: Sequence[str]) -> str:
    """Prints lines that begin with "bz": the interpreter's number, the board's name, each file with its SHA-256 (of
    these names in the root, and of all in these folders), an end.
    """
    return _filled(_ASK, names=tuple(names), folders=tuple(folders))


def finish(stage: str, folders: Sequence[str], copied: Sequence[str], gone: Sequence[str]) -> str:
    """Moves each copied file out of the folder `stage` to its place, in this order, then removes files and folders."""
    return _filled(_FINISH, stage="/" + stage + "/", folders=tuple(folders), copied=tuple(copied), gone=tuple(gone))


def _filled(script: str, **values: object) -> str:
    for name, value in values.items():
        script = script.replace("{" + name + "}", repr(value))
    return script
