"""What is known to be wrong with metatensor's datasets."""

from __future__ import annotations

from .. import Example, Known

#: In both flavours.
METATENSOR: tuple[Known, ...] = (
    Known(
        law="batches_get_through_worker_processes",
        rows=("datasets",),
        when=lambda recipe, x: True,
        example=lambda row: Example(None, [0], {"size": 1, "workers": 1, "seconds": 1}),
        reason="batches don't get through worker processes: the class Batch is made for each of them, "
        "and can't be pickled; the loader waits for ever [torch]",
    ),
)
