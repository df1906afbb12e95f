"""Inputs that a device keeps for an audit where its user agreed, and sends where a server asks: docs/monitoring/audit.md."""
