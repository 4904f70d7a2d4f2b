"""The teacher: a model that is asked, what it wrote, and what of it is kept.

Checks of a reasoning are pure functions of text: its format (`thought`), whether it betrays that
the answer was there before it (`leaks`), whether it agrees with its answer (`consistency`), and
whether it is prose of the right length and language at all (`language`).
"""
