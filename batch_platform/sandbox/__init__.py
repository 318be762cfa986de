"""Local stand-ins for the outside world: `make demo`, tests, benchmarks, never a real night.

Everything in here answers on the loopback interface only and marks what it says as made up. Nothing
outside this package imports it except entry points that were asked for the sandbox, tests and
benchmarks.
"""
