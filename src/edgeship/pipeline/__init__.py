"""The way of a model from the server to a judged bundle; the only place that knows all stages."""
