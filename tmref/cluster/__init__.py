"""The cases of a check, tried by the workers of a Dask cluster: the parent's side is ``session``, the
workers' is ``process``."""


class UnusableCluster(Exception):
    """There is no cluster that can try the cases; the message has the remedy."""
