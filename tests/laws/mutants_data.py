"""Broken types of data."""

from mutants import MUTANTS, Planted

from tmref import Labels
from tmref.implementations.reference import Reference


def data(law, *rows):
    """A defect of an implementation whose types are subclasses of the reference's."""

    def register(implementation):
        MUTANTS.extend(Planted(law, row, implementation()) for row in rows)
        return implementation

    return register


class OwnLabels(Reference):
    """The reference with a class of labels of its own."""

    def labels(self, labels):
        return self.Labels(labels.names, labels.values).to(labels.device)

    def decode_labels(self, labels):
        return Labels(labels.names, labels.values).to(labels.device)


@data("a_position_is_where_the_entry_is", "labels")
class PositionsFromTheEnd(OwnLabels):
    name = "positions_from_the_end"

    class Labels(Labels):
        def position(self, entry):
            return len(self) - 1 - super().position(entry)
