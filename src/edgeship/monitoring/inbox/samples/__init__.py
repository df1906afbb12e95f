"""Inputs that devices send for an audit, where their users agreed: what is taken, and the folder that it lies in."""
