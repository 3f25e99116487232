"""A process of Python that ends by itself tells which modules of warraq it loaded, in a file of the folder TRACE."""

import atexit
import os
import sys
from pathlib import Path


@atexit.register
def tell() -> None:
    loaded = sorted(name for name in sys.modules if name.startswith("warraq."))
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main is not None and main.name.startswith("warraq."):  # python -m
        loaded.append(main.name)
    if loaded:
        place = Path(os.environ["TRACE"]) / str(os.getpid())
        place.write_text("\n".join([os.environ["TRACE_STAGE"], *loaded]), encoding="utf-8")
