"""Broken files."""

import io
import os
import signal
import types
import zipfile

import numpy as np
import torch

import tmref.io
from mutants.planting import data
from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations.reference import Reference
from tmref.io.archive import packed


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


def of_functions(law, row):
    """A defect of files: functions that stand in the place of those of the same names."""

    def register(functions):
        mutant = Reference()
        mutant.name = functions.__name__
        mutant.files = types.SimpleNamespace(**{**vars(tmref.io), **functions()})
        return data(law, row)(lambda: mutant) and functions

    return register


def after(name, function):
    """The function of files that does so after the right one."""

    def wrong(*args):
        result = getattr(tmref.io, name)(*args)
        function(*args, result)
        return result

    return {name: wrong}


@of_functions(labels, "labels")
def labels_are_not_written_to_open_files():
    def save(file, labels):
        is_open = hasattr(file, "write")
        tmref.io.save(file, Labels(labels.names, labels.values[:0]) if is_open else labels)

    return {"save": save}


@of_functions(blocks, "tensor_block")
def saving_sets_the_values_of_the_block_to_zero():
    return after("save", lambda file, block, _: block.values.zero_())


@of_functions(maps, "tensor_map")
def saving_sets_the_values_of_the_map_to_zero():
    return after("save", lambda file, x, _: [block.values.zero_() for block in x])


def as_they_lie(file, block):
    """Save values as they stand in memory."""

    def of(values):
        values = values.detach()
        values = values.conj() if values.is_conj() else values
        return torch._neg_view(values) if values.is_neg() else values

    tmref.io.save(file, block._map_values(of))


@of_functions("values_that_are_saved_can_be_loaded", "tensor_block")
def values_are_saved_as_they_lie():
    return {"save": as_they_lie}


def refusing(*dtypes):
    """The function that loads a block, but none of these dtypes."""

    def load(file):
        block = tmref.io.load_block(file)
        if block.dtype in dtypes:
            raise ValueError(f"no {block.dtype} here")
        return block

    return {"load_block": load}


@of_functions("values_that_are_saved_can_be_loaded", "tensor_block")
def bools_can_be_saved_and_not_loaded():
    return refusing(torch.bool)


@of_functions("values_that_are_saved_can_be_loaded", "tensor_block")
def half_precision_can_be_saved_and_not_loaded():
    return refusing(torch.float16)


def with_names(name_of):
    """The function that saves a block whose gradients are called otherwise."""

    def save(file, block):
        made = TensorBlock(block.values, block.samples, block.components, block.properties)
        for name, gradient in block.gradients():
            made.add_gradient(name_of(name), gradient)
        tmref.io.save(file, made)

    return {"save": save}


named = "gradients_that_are_saved_are_loaded_by_their_names"


@of_functions(named, "tensor_block")
def names_end_at_zero_bytes():
    return with_names(lambda name: name.partition("\0")[0])


@of_functions(named, "tensor_block")
def names_are_of_ascii():
    return with_names(lambda name: name.encode("ascii", "replace").decode())


def repacked(content, takes=lambda name: True):
    """The entries of an archive whose names it takes, whatever their checksums are."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            if takes(info.filename):
                with archive.open(info) as entry:
                    entry._expected_crc = None
                    found[info.filename] = [entry.read()]
    return io.BytesIO(b"".join(packed(found)))


def loading(name, otherwise):
    """The function that loads, by what it does with content that is refused."""

    def load(file):
        content = file.read()
        try:
            return getattr(tmref.io, name)(io.BytesIO(content))
        except ValueError:
            return otherwise(content)

    return {name: load}


of_block = "a_changed_byte_in_the_file_of_a_block_is_noticed"
of_map = "a_changed_byte_in_the_file_of_a_map_is_noticed"


@of_functions(of_block, "tensor_block")
def checksums_of_blocks_are_not_looked_at():
    return loading("load_block", lambda content: tmref.io.load_block(repacked(content)))


@of_functions(of_map, "tensor_map")
def checksums_of_maps_are_not_looked_at():
    return loading("load", lambda content: tmref.io.load(repacked(content)))


def is_no_gradient(name):
    return "gradients/" not in name


@of_functions(of_block, "tensor_block")
def gradients_are_left_out_of_damaged_blocks():
    return loading("load_block", lambda content: tmref.io.load_block(repacked(content, is_no_gradient)))


@of_functions(of_map, "tensor_map")
def gradients_are_left_out_of_damaged_maps():
    return loading("load", lambda content: tmref.io.load(repacked(content, is_no_gradient)))


EMPTY = {
    "load_block": TensorBlock(torch.empty(0, 0), Labels.range("s", 0), [], Labels.range("p", 0)),
    "load": TensorMap(Labels.empty("key"), []),
    "load_labels": Labels.empty("key"),
}


@of_functions("a_truncated_file_of_labels_is_refused", "labels")
def labels_are_empty_where_a_file_ends():
    return loading("load_labels", lambda content: EMPTY["load_labels"])


@of_functions("a_truncated_file_of_a_block_is_refused", "tensor_block")
def a_block_is_empty_where_a_file_ends():
    return loading("load_block", lambda content: EMPTY["load_block"])


@of_functions("a_truncated_file_of_a_map_is_refused", "tensor_map")
def a_map_is_empty_where_a_file_ends():
    return loading("load", lambda content: EMPTY["load"])


rows = "labels_of_more_rows_than_their_file_has_are_refused"


@of_functions(rows, "labels")
def rows_that_are_there_are_enough():
    return loading("load_labels", lambda content: EMPTY["load_labels"])


@of_functions(rows, "labels")
def many_rows_end_the_process():
    def load(content):
        header = io.BytesIO(content)
        np.lib.format.read_magic(header)
        (size,), *_ = np.lib.format.read_array_header_1_0(header)
        if size > 10**9:
            os.kill(os.getpid(), signal.SIGKILL)  # of others Python would tell
        raise ValueError("rows are missing")

    return loading("load_labels", load)
