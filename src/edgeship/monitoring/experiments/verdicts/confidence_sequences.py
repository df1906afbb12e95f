"""What holds at every moment at once, for what is looked at whenever somebody looks: guardrails and the sample ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import betaln

Array = np.ndarray[Any, Any]
LEAST_USERS = 100  # an arm, before anything is said: the intervals are asymptotic
SAMPLE_RATIO_ALPHA = 0.01  # of all moments together
PRIOR_USERS = 1000.0  # how close to the planned ratio a broken one is expected: about as users of that number tell


def sequence_halfwidth(error: float, fraction: float, alpha: float) -> float:
    """Half the width of an asymptotic confidence sequence around a difference with that standard error.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Annals of Statistics 52:2613 (arXiv 2103.06476): with n the users so
    far, error * sqrt(2 * (n * rho^2 + 1) / (n * rho^2) * log(sqrt(n * rho^2 + 1) / alpha)), two-sided. It is narrowest about m
    users where rho^2 = (-2 log alpha + log(-2 log alpha + 1)) / m; m is half of those that are planned. `fraction`: n as a
    share of the planned users.
    """
    narrowest = 0.5
    log = -2 * math.log(alpha)
    scaled = fraction / narrowest * (log + math.log(log + 1))
    return error * math.sqrt(2 * (scaled + 1) / scaled * math.log(math.sqrt(scaled + 1) / alpha))


def sample_ratio_p(control: Array | int, treatment: Array | int, share: float) -> Array:
    """The p-value, at most 0.01 at any moment in 1 % of experiments, that users are a draw with this share in treatment.

    One over the Bayes factor of a Beta distribution around the planned share against it (Lindon and Malek 2022, NeurIPS, arXiv
    2011.03567), in (0, 1]; of numbers of users of any shape.
    """
    first, second = PRIOR_USERS * (1 - share), PRIOR_USERS * share
    free = betaln(first + control, second + treatment) - betaln(first, second)
    planned = control * np.log(1 - share) + treatment * np.log(share)
    return np.asarray(np.exp(np.minimum(planned - free, 0.0)))
