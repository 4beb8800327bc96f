"""Broken datasets."""

import types

import torch

import tmref
import tmref.datasets
from mutants.planting import Reference, data

position = "a_sample_has_the_values_of_its_position"
identifier = "a_sample_is_found_by_its_identifier"
transposed = "grouping_is_transposition"
once = "every_sample_comes_once_in_an_epoch"
workers = "batches_get_through_worker_processes"
stays = "fields_that_are_not_to_be_joined_stay"
joined = "a_batch_of_maps_is_one_map_of_their_samples"
arguments = "maps_of_a_batch_are_joined_as_its_arguments_say"
different = "maps_of_different_keys_are_refused_or_have_all_of_them"
below = "tensors_of_a_batch_are_below_each_other"


def of_datasets(law, name):
    """A defect of what a function makes in the place of a class or a function of datasets."""

    def register(function):
        mutant = Reference()
        mutant.name = function.__name__
        wrong = function(getattr(tmref.datasets, name))
        mutant.datasets = types.SimpleNamespace(**{**vars(tmref.datasets), name: wrong})
        return data(law, "datasets")(lambda: mutant) and function

    return register


@of_datasets(position, "Dataset")
def functions_are_called_for_the_next(right):
    class Wrong(right):
        def _asked_for(self, idx):
            return idx + 1

    return Wrong


@of_datasets(position, "Dataset")
def fields_are_sorted(right):
    return lambda size=None, **fields: right(size, **dict(sorted(fields.items())))


@of_datasets(identifier, "IndexedDataset")
def functions_are_called_for_positions(right):
    class Wrong(right):
        def _asked_for(self, idx):
            return idx

    return Wrong


@of_datasets(identifier, "IndexedDataset")
def integers_are_positions(right):
    class Wrong(right):
        def get_sample(self, sample_id):
            found = isinstance(sample_id, int) and sample_id < len(self)
            return self[sample_id] if found else super().get_sample(sample_id)

    return Wrong


@of_datasets(transposed, "group")
def batches_are_sorted(right):
    return lambda batch: right(sorted(batch))


@of_datasets(transposed, "group")
def a_batch_has_each_sample_once(right):
    return lambda batch: right(list(dict.fromkeys(batch)))


@of_datasets(once, "DataLoader")
def what_fills_no_batch_is_left_out(right):
    return lambda *args, **options: right(*args, drop_last=True, **options)


@of_datasets(once, "DataLoader")
def samples_are_drawn_with_replacement(right):
    def load(dataset, shuffle=False, **options):
        sampler = torch.utils.data.RandomSampler(dataset, replacement=True) if shuffle else None
        return right(dataset, sampler=sampler, **options)

    return load


@of_datasets(joined, "DataLoader")
def maps_are_not_joined_but_the_first_is_taken(right):
    def collate(batch):
        return tmref.datasets.group(batch)._replace(x=batch[0].x)

    return lambda *args, **options: right(*args, collate_fn=collate, **options)


@of_datasets(joined, "DataLoader")
def gradients_are_left_out_of_batches(right):
    def collate(batch):
        batch = tmref.datasets.group_and_join(batch)
        return batch._replace(x=tmref.remove_gradients(batch.x))

    return lambda *args, **options: right(*args, collate_fn=collate, **options)


@of_datasets(stays, "group_and_join")
def all_fields_are_joined(right):
    return lambda batch, fields_to_join=None: right(batch)


@of_datasets(stays, "group_and_join")
def the_first_map_of_other_fields_is_kept(right):
    def collate(batch, fields_to_join=None):
        batch = right(batch, fields_to_join)
        return batch._replace(other=batch.other[:1])

    return collate


@of_datasets(arguments, "group_and_join")
def arguments_for_the_join_are_left_out(right):
    return lambda batch, join_kwargs: right(batch)


@of_datasets(arguments, "group_and_join")
def dimensions_are_not_added(right):
    def collate(batch, join_kwargs):
        return right(batch, None, {"different_keys": join_kwargs["different_keys"]})

    return collate


@of_datasets(different, "group_and_join")
def only_keys_of_all_samples_are_kept(right):
    return lambda batch: right(batch, None, {"different_keys": "intersection"})


@of_datasets(different, "group_and_join")
def only_keys_of_the_first_sample_are_kept(right):
    def collate(batch):
        y = right(batch)
        return y._replace(x=tmref.filter_blocks(y.x, batch[0].x.keys))

    return collate


@of_datasets(arguments, "group_and_join")
@of_datasets(different, "group_and_join")
def samples_are_emptied(right):
    def collate(batch, **options):
        y = right(batch, **options)
        for sample in batch:
            for block in sample.x:
                block.values.zero_()
        return y

    return collate


@of_datasets(below, "group_and_join")
def tensors_stay(right):
    return lambda batch: right(batch, ["number"])


@of_datasets(below, "group_and_join")
def tensors_are_stacked_on_a_new_axis(right):
    return lambda batch: right(batch)._replace(x=torch.stack([sample.x for sample in batch]))


@of_datasets(below, "group_and_join")
def the_first_tensor_becomes_the_sum(right):
    def collate(batch):
        y = right(batch)
        batch[0].x.copy_(sum(sample.x for sample in batch))
        return y

    return collate


def in_workers(right, collated):
    """A loader whose workers give what ``collated`` makes of a batch."""

    def collate(batch):
        batch = tmref.datasets.group_and_join(batch)
        return batch if torch.utils.data.get_worker_info() is None else collated(batch)

    return lambda *args, **options: right(*args, collate_fn=collate, **options)


@of_datasets(workers, "DataLoader")
def workers_mix_up_the_fields(right):
    return in_workers(right, lambda batch: batch._replace(text=batch.number))


@of_datasets(workers, "DataLoader")
def workers_refuse_batches(right):
    def refuse(batch):
        raise TypeError("no batch for workers")

    return in_workers(right, refuse)
