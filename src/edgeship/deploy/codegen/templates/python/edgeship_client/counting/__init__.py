"""Counts inferences for reports: what is sent when, and whether somebody was asked, is the app's to decide."""
