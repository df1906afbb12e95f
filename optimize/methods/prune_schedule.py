"""When pruning raises how many zeros: a schedule derived from the steps there really are, and what it will reach.

TFMOT's own default updates its masks every 100 steps; with fewer steps it prunes nothing and says nothing.
"""

from __future__ import annotations

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.recipes.training import PruneRecipe

RISING = 0.6  # share of the steps over which a polynomial schedule rises; the rest lets the weights settle
UPDATES = 60  # masks are chosen anew about this often
POWER = 3
NEAR = 1e-3


@dataclass(frozen=True)
class Schedule:
    """Masks are updated at steps begin, begin + frequency, ... up to end; steps are counted from 1."""

    sparsity: float
    rising: bool
    begin: int
    end: int
    frequency: int

    def is_due(self, step: int) -> bool:
        """Whether masks are chosen anew at this step."""
        return self.begin <= step <= self.end and (step - self.begin) % self.frequency == 0

    def sparsity_at(self, step: int) -> float:
        """The sparsity asked for at this step: s (1 - (1 - t)^3) for t rising from 0 to 1 (Zhu and Gupta 2017)."""
        if not self.rising:
            return self.sparsity
        t = min(1.0, max(0.0, (step - self.begin) / (self.end - self.begin)))
        return self.sparsity * (1 - (1 - t) ** POWER)

    def final_sparsity(self, steps: int) -> float:
        """The sparsity that its last mask of these steps has."""
        last = min(steps, self.end)
        last -= (last - self.begin) % self.frequency
        return self.sparsity_at(last) if last >= max(self.begin, 1) else 0.0


def derive_schedule(recipe: PruneRecipe, steps: int) -> Schedule:
    """The schedule for that many optimizer steps. Raises InputError where what was asked cannot be reached in them."""
    begin = 1 if recipe.begin is None else recipe.begin
    rising = recipe.schedule == "polynomial" and recipe.pattern != "2:4"
    end = recipe.end
    if end is None:
        end = max(begin, round(begin + (steps - begin) * RISING) if rising else steps)
    frequency = recipe.frequency or max(1, (end - begin) // UPDATES)
    if recipe.end is None and end <= steps:
        end -= (end - begin) % frequency  # so that the last update is at the very end
    schedule = Schedule(recipe.sparsity, rising and end > begin, begin, end, frequency)
    final = schedule.final_sparsity(steps)
    if final < recipe.sparsity - NEAR:
        raise InputError(
            f"the pruning schedule (begin {begin}, end {end}, every {frequency} steps) reaches {final:.3f} of the asked "
            f"sparsity {recipe.sparsity} in the {steps} steps there are; train longer, or leave begin, end and frequency out"
        )
    return schedule
