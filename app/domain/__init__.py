"""The rules of the house: values and pure functions, standard library only."""
