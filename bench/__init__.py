"""What is measured, against what, and the bar that each figure has to reach.

python -m bench                  every benchmark, each in a process of its own
python -m bench post_jobs        one of them
python -m bench --quick          small numbers: does everything still run?
"""
