"""numba with types: the only place where `bztoken.matching.derivation` meets its untyped decorators.

Importing this imports numba, which costs half a second: only `compiled` may, and what is asked for many keys.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core import config
from numba.extending import intrinsic

if vars(config)["DISABLE_JIT"]:
    raise ImportError("numba is told not to compile")

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}


def compiled(function: _Function) -> _Function:
    """Compiled at its first call, and kept on disk where there is a place for it: beside the module, else in the user's
    cache folder. Whether that is still good numba sees by the function's own file and the processor, nothing else: so
    what it calls stands in that file too.
    """
    try:
        return cast(_Function, numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # nowhere to keep it: compile in each process
        return cast(_Function, numba.njit(**_OPTIONS)(function))


def instructions(emit: Callable[..., Any], types_of: _Function) -> _Function:
    """A function for compiled code that consists of the LLVM instructions that `emit` makes; `types_of` types it."""
    return cast(_Function, intrinsic(emit))


def address(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Where the items of an array begin, for `emit`, which counts on rows that follow each other."""
    if kind.layout != "C":
        raise TypeError("instructions take C-contiguous arrays")
    return context.make_array(kind)(context, builder, array).data
