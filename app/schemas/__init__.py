"""Requests, answers and events as pydantic models, without a web framework."""
