"""An interval that holds at every moment at once: for guardrails, which are looked at whenever somebody looks."""

from __future__ import annotations

import math

LEAST_USERS = 100  # an arm, before anything is said: the intervals are asymptotic


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
