"""Chaos: real processes broken on purpose, and what becomes of their posts.

python -m bench.chaos              every cell of the crash matrix
python -m bench.chaos mutants      the same with one mechanism taken out at a time
python -m bench.chaos soak         thousands of posts under random faults and kills
"""
