"""From a champion and new labels to a challenger that is evaluated."""
