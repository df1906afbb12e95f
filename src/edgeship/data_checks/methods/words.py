"""Words that tell a class: of each class the one whose texts hold it more often than all others do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeship.data_checks.methods.features import Array, Feature
from edgeship.untrusted import shorten_text

LEAST_TEXTS, MOST_WORDS = 5, 5000  # that a word is in; the commonest, of a column
LONGEST = 30  # letters of a word that are shown: strangers wrote them


def find_telling_words(name: str, texts: Sequence[str | None], labels: Array, classes: int) -> Feature | None:
    """Which class's word a text holds, the first where there are several, and no value where there is none.

    `labels`: class numbers of shape (n,). The words are chosen by all texts, what they tell is for `leakage` to judge. None
    where no word is in enough texts.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(binary=True, min_df=LEAST_TEXTS, max_features=MOST_WORDS)
    try:
        held = counter.fit_transform([text or "" for text in texts])
    except ValueError:  # no word is left
        return None
    words = counter.get_feature_names_out()
    of_class = np.eye(classes)[labels]
    counts = held.T @ of_class
    totals = of_class.sum(axis=0)
    others = (counts.sum(axis=1, keepdims=True) - counts) / np.maximum(len(labels) - totals, 1)
    chosen = np.unique((counts / np.maximum(totals, 1) - others).argmax(axis=0))
    has = held[:, chosen].toarray() > 0
    codes = np.where(has.any(axis=1), has.argmax(axis=1), -1)
    names = tuple(shorten_text(str(words[place]), LONGEST) for place in chosen)
    return Feature(f"{name} (words {', '.join(names)})", codes, names)
