"""What float16 can hold."""

from __future__ import annotations

from typing import Any

import numpy as np


def fits_float16(values: np.ndarray[Any, Any]) -> bool:
    """Whether float16 has room for all values and digits for the largest: not beyond 65504, nor all of them below 6e-5."""
    largest = float(np.abs(values).max(initial=0.0))
    return largest == 0 or float(np.finfo(np.float16).tiny) <= largest <= float(np.finfo(np.float16).max)
