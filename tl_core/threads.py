"""Thread settings of the computing processes: environment variables that numpy and torch read when they load."""

THREAD_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Waiting threads sleep, because spinning made busy cores up to seven times slower. numpy's linear algebra uses one
thread, because its matrices are small here. Measured once on two busy cores, two threads against one: comparing the
depths of 60 texts took 10.2 s and 0.7 s, of 56 pictures in nine classes 96 s and 5.6 s."""
