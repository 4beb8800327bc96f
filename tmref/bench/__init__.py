"""How fast implementations are: work on maps of given sizes, its time as ratios, its operators counted.

What is timed and how is here, once: ``tmref bench``, ``make speed``, the suite of asv and the tests of
pytest-benchmark all use it.
"""
