"""Keeps the accounts' grants alive."""
