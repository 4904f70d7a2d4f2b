"""The figures mgdata holds itself to, each a ratio or a size taken in one run on one machine.

`python -m tests.benchmarks` prints a table and writes the same as JSON. What is compared runs in
fresh processes, turn and turn about, so that a slow minute hits both sides of a ratio.
"""
