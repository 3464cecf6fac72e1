"""Use cases: what callers of the API and the command line can do.

Everywhere ``scope`` is the project that a caller is bound to, None for one who may see
all. What lies outside it raises NotFound, as if it did not exist.
"""
