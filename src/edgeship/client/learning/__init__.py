"""Learning on the device: a model's last layer learns from corrected answers. numpy and a runtime, nothing else.

`from edgeship.client.learning import HeadLearner`; docs/learning/on-device.md
"""

from edgeship.client.learning.learner import HeadLearner
from edgeship.client.learning.outcome import LearnResult, LearnSettings

__all__ = ["HeadLearner", "LearnResult", "LearnSettings"]
