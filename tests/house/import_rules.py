"""Which package may import which, checked on the syntax tree of every file; nothing is imported to find out.

bzwire imports nothing of ours; bzfw imports bzwire; bzvirtual imports both; bztoken imports bzwire and never bzfw, and
only its commands `fleet`, `power`, `flash` and `firmware` import bzvirtual. On the device only bzfw/hal_esp32.py
touches the hardware (and loader.py its watchdog), and bzfw/hal.py, which needs typing, is named but never loaded.
Run: `python tests/house/import_rules.py [ROOT]`; `make imports` does.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OURS = frozenset({"bzwire", "bzfw", "bzvirtual", "bztoken"})
HARDWARE = frozenset({"machine", "bluetooth", "esp32", "network", "neopixel", "esp"})
# What the stock ESP32 build of MicroPython has and the wire formats need.
PURE = frozenset({"array", "binascii", "struct", "hashlib"})
MICROPYTHON = PURE | {
    "asyncio", "collections", "cryptolib", "deflate", "errno", "gc", "io", "json", "math", "micropython",
    "os", "random", "select", "sys", "time", "vfs",
}  # fmt: skip


@dataclass(frozen=True)
class Package:
    """One of our packages: where it lies and what its files may import."""

    name: str
    folder: str
    ours: frozenset[str]
    others: frozenset[str] | None = None  # None: anything that is not ours and not hardware
    exceptions: tuple[tuple[str, frozenset[str]], ...] = ()  # file, what it may import besides
    pattern: str = "**/*.py"
    types_only: frozenset[str] = frozenset()  # modules that no running import may name

    def allowed_extra(self, file: str) -> frozenset[str]:
        return frozenset().union(*(extra for name, extra in self.exceptions if file == name))


_SIMULATION = frozenset({"bzvirtual"})
PACKAGES = (
    Package(
        "main.py or boot.py",
        "firmware",
        frozenset({"bzwire", "bzfw"}),
        MICROPYTHON,
        exceptions=(("main.py", frozenset({"loader", "machine"})), ("loader.py", frozenset({"machine"}))),
        pattern="*.py",
    ),
    Package("bzwire", "firmware/bzwire", frozenset(), PURE),
    Package(
        "bzfw",
        "firmware/bzfw",
        frozenset({"bzwire"}),
        MICROPYTHON,
        exceptions=(("hal_esp32.py", HARDWARE), ("hal.py", frozenset({"typing"}))),
        types_only=frozenset({"hal"}),
    ),
    Package("bzvirtual", "boards/virtual/bzvirtual", frozenset({"bzwire", "bzfw"})),
    Package(
        "bztoken",
        "host/bztoken",
        frozenset({"bzwire"}),
        exceptions=tuple(
            (f"cli/{name}.py", _SIMULATION) for name in ("deploy", "firmware", "flash", "fleet", "fleet_score", "power")
        ),
    ),
)


def without_typing_guards(node: ast.AST) -> list[ast.AST]:
    """The node itself, or what is left of an `if TYPE_CHECKING`, whose body no device ever runs."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return list(node.orelse)
    return [node]


def nodes_that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below that runs."""
    for child in ast.iter_child_nodes(tree):
        for inner in without_typing_guards(child):
            yield inner
            yield from nodes_that_run(inner)


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    if isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
        first = node.args[0]
        return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"__import__", "import_module"}


def imports_of(source: str, *, run_only: bool = True) -> Iterator[tuple[int, str]]:
    """(line, top-level module) of every absolute import, `__import__("x")` and `import_module("x")` included."""
    tree = ast.parse(source)
    for node in nodes_that_run(tree) if run_only else ast.walk(tree):
        for name in _named(node):
            yield getattr(node, "lineno", 0), name.partition(".")[0]


def _climbs_out(source: str, depth: int) -> Iterator[int]:
    """Lines of relative imports that leave the package of a file `depth` folders below it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level > depth + 1:
            yield node.lineno


def _loads_types_only(package: Package, source: str) -> Iterator[tuple[int, str]]:
    """(line, module) of running imports of a module of the same package that is there for the type checker alone."""
    for node in nodes_that_run(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom | ast.Import):
            continue
        names = {alias.name for alias in node.names}
        whole = getattr(node, "module", None) or ""
        paths = {f"{whole}.{name}" for name in names} | names | {whole}
        for module in sorted(package.types_only):
            own = {f"{package.name}.{module}"} | ({module, f".{module}"} if getattr(node, "level", 0) else set())
            if paths & own:
                yield node.lineno, module


def _refused(package: Package, file: str, module: str) -> bool:
    if module == package.name or module in package.allowed_extra(file):
        return False
    if module in OURS:
        return module not in package.ours
    if package.others is not None:
        return module not in package.others
    return module in HARDWARE and package.name == "bztoken"


def violations_in(root: Path, package: Package) -> Iterator[str]:
    """One sentence for each import in the package that its rule does not allow."""
    folder = root / package.folder
    for path in sorted(folder.glob(package.pattern)):
        file = path.relative_to(folder).as_posix()
        source = path.read_text(encoding="utf-8")
        place = path.relative_to(root).as_posix()
        # Type-checking imports matter only where they would tie our packages together.
        running = set(imports_of(source))
        for line, module in sorted(set(imports_of(source, run_only=False))):
            if (line, module) not in running and module not in OURS:
                continue
            if _refused(package, file, module):
                yield f"{place}:{line}: {package.name} must not import {module}"
        for line, module in _loads_types_only(package, source):
            yield f"{place}:{line}: {package.name}.{module} is for the type checker and must not be loaded"
        for line in _climbs_out(source, file.count("/")):
            yield f"{place}:{line}: a relative import leaves {package.name}"


def violations(root: Path) -> list[str]:
    """Every broken import rule in the repository at `root`."""
    return [said for package in PACKAGES for said in violations_in(root, package)]


def main(arguments: list[str]) -> int:
    said = violations(Path(arguments[0] if arguments else "."))
    print("\n".join(said) or "the import rules hold")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
