"""Teaches the model's last layer from corrected answers, on this device: `learning.teach.Learner`."""
