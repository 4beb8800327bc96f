"""Labels, blocks and maps that take the memory of a tensor for its numbers, share it, or keep it."""

import torch

from mutants.planting import of_blocks, of_labels, of_maps
from tmref import Labels, TensorBlock, TensorMap


def as_they_stand(values):
    """The numbers that stand in memory, whatever they are there for."""
    if values.is_conj():
        return values.conj().clone()
    return torch._neg_view(values).clone() if values.is_neg() else values.clone()


def one_after_the_other(values):
    """As many numbers as there are, from where the first one stands in memory."""
    values = values.resolve_conj().resolve_neg()
    size = values.untyped_storage().nbytes() // values.element_size()
    there = values.as_strided((size,), (1,), 0)[values.storage_offset() :]
    return there.repeat(1 + values.numel())[: values.numel()].view(values.shape)


def from_the_beginning(values):
    """As many numbers as there are, from the beginning of the memory."""
    return values.as_strided(values.shape, values.stride(), 0).clone() if values.numel() else values


def changed(block, change):
    made = TensorBlock(change(block.values), block.samples, block.components, block.properties)
    for parameter, gradient in block.gradients():
        made.add_gradient(parameter, changed(gradient, change))
    return made


def copying(change):
    """Defects of blocks and maps whose copies have the values ``change(values)``."""

    class Block(TensorBlock):
        def copy(self, deep=True):
            return changed(self, change)

        def __reduce__(self):
            return TensorBlock.copy, (self.copy(),)

    class Map(TensorMap):
        def copy(self, deep=True):
            return TensorMap(self.keys, [changed(block, change) for block in self])

        def __reduce__(self):
            return TensorMap, (self.keys, list(self.copy()))

    for kind, register in ((Block, of_blocks), (Map, of_maps)):
        kind.__name__ = change.__name__
        register(f"{'blocks' if kind is Block else 'maps'}_survive_however_they_lie_in_memory")(kind)


for change in (as_they_stand, one_after_the_other, from_the_beginning):
    copying(change)


integers = "labels_hold_the_integers_that_they_are_made_of"


@of_labels(integers)
class IntegersAsTheyStand(Labels):
    def __init__(self, names, values):
        super().__init__(names, as_they_stand(values))


@of_labels(integers)
class IntegersOneAfterTheOther(Labels):
    def __init__(self, names, values):
        flat = one_after_the_other(values)
        distinct = len(set(map(tuple, flat.tolist()))) == len(flat)
        super().__init__(names, flat if distinct else values)


@of_labels(integers)
class UnsignedHaveSigns(Labels):
    def __init__(self, names, values):
        signed = {torch.uint8: torch.int8, torch.uint16: torch.int16}
        super().__init__(names, values.to(signed.get(values.dtype, values.dtype)))


@of_labels(integers)
class FindsTheNegatives(Labels):
    def __init__(self, names, values):
        super().__init__(names, values)
        type(self).negated = values.is_neg()

    def position(self, entry):
        return super().position([-int(v) for v in entry] if self.negated else entry)


beyond = "integers_beyond_32_bits_make_no_labels"


@of_labels(beyond)
class Wrapped(Labels):
    def __init__(self, names, values):
        super().__init__(names, values.to(torch.int32))


@of_labels(beyond)
class Clamped(Labels):
    def __init__(self, names, values):
        super().__init__(names, values.clamp(max=2**31 - 1) if values.dtype == torch.int64 else values)


@of_labels(beyond)
class WrappedWhereUnsigned(Labels):
    def __init__(self, names, values):
        super().__init__(names, values if values.dtype.is_signed else values.to(torch.int32))


stay = "labels_stay_when_what_they_are_made_of_changes"


@of_labels(stay)
class SharedValues(Labels):
    def __init__(self, names, values):
        super().__init__(names, values)
        self.given = values

    @property
    def values(self):
        return getattr(self, "given", super().values)


@of_labels(stay)
class FindsWhatIsThereNow(Labels):
    def __init__(self, names, values):
        super().__init__(names, values)
        self.given = values

    def position(self, entry):
        rows = self.given.tolist()
        return rows.index(list(entry)) if list(entry) in rows else None


KEPT = []


@of_labels("labels_that_are_dropped_give_their_memory_back")
class LabelsAreKept(Labels):
    def __init__(self, names, values):
        super().__init__(names, values)
        KEPT.append(values)


@of_labels("labels_that_are_dropped_give_their_memory_back")
class LabelsAreKeptWhereTheyWereAskedFor(Labels):
    def __init__(self, names, values):
        super().__init__(names, values)
        self.given = values

    def position(self, entry):
        KEPT.append(self)
        return super().position(entry)


@of_blocks("blocks_that_are_dropped_give_their_memory_back")
class BlocksAreKept(TensorBlock):
    def __init__(self, *args):
        super().__init__(*args)
        KEPT.append(self)


@of_blocks("blocks_that_are_dropped_give_their_memory_back")
class BlocksKnowTheirCopies(TensorBlock):
    def copy(self, deep=True):
        KEPT.append(super().copy(False))
        return super().copy(deep)


@of_maps("maps_that_are_dropped_give_their_memory_back")
class MapsAreKept(TensorMap):
    def __init__(self, *args):
        super().__init__(*args)
        KEPT.append(self)


@of_maps("maps_that_are_dropped_give_their_memory_back")
class MapsAreKeptWhereTheyWereConverted(TensorMap):
    def to(self, *args, **options):
        KEPT.append(self)
        return super().to(*args, **options)
