"""Measuring media at their own addresses."""
