"""Broken files."""

import types

import tmref.io
from mutants.planting import data
from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations.reference import Reference


def of_files(law, row):
    """A defect of files: ``(data)`` gives what comes back of what was saved."""

    def register(function):
        class Own(Reference):
            name = function.__name__
            files = types.SimpleNamespace(
                **{
                    **vars(tmref.io),
                    **{
                        name: lambda path, name=name: function(getattr(tmref.io, name)(path))
                        for name in ("load", "load_block", "load_labels")
                    },
                }
            )

        return data(law, row)(Own) and function

    return register


labels, blocks, maps = (f"{kind}_come_back_from_a_file" for kind in ("labels", "blocks", "maps"))


@of_files(labels, "labels")
def labels_in_order(x):
    rows = sorted(x.values.tolist())
    return Labels(x.names, x.values.new_tensor(rows).reshape(x.values.shape))


@of_files(labels, "labels")
def names_in_order(x):
    return Labels(sorted(x.names), x.values)


@of_files(blocks, "tensor_block")
def a_block_without_gradients(x):
    return TensorBlock(x.values, x.samples, x.components, x.properties)


@of_files(blocks, "tensor_block")
def numbers_of_half_the_width(x):
    return x._map_values(lambda values: values.float())


@of_files(maps, "tensor_map")
def blocks_in_order(x):
    keys = Labels(
        x.keys.names,
        x.keys.values.new_tensor(sorted(x.keys.values.tolist())).reshape(x.keys.values.shape),
    )
    return TensorMap(keys, list(x))


@of_files(maps, "tensor_map")
def gradients_that_are_left_in_the_file(x):
    return tmref.remove_gradients(x)
