"""The rules of the house: values and pure functions, free of every framework."""
