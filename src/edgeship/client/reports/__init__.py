"""What a device reports of its inferences: counts in the bins of the bundle's profile, by calendar week.

docs/monitoring/report.md
"""
