"""A lake: encounters of many clinics as Parquet files by UTC day, for matching at the province. Needs the extra
`province`; nothing outside this package imports pyarrow, and this module does not either.
"""

from importlib.util import find_spec

from bztoken.errors import LakeError


def require_packages() -> None:
    """Raises LakeError where the packages for lakes are not installed. To be called before other modules are loaded."""
    if find_spec("pyarrow") is None:
        raise LakeError("lakes need more packages: pip install 'bztoken[province]'")
