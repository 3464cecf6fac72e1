"""Chaos: real processes broken on purpose, and what becomes of their posts.

python -m chaos              every cell of the crash matrix
python -m chaos mutants      the same with one mechanism taken out at a time
python -m chaos soak         thousands of posts under random faults and kills
"""
