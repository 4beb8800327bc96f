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
