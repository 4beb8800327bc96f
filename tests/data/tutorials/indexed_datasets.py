# Datasets whose samples are called by identifiers of any kind.
from pathlib import Path

import torch
from metatensor.torch.learn.data import DataLoader, Dataset, IndexedDataset

torch.manual_seed(11)
numbers = list(range(6))
tensors = [torch.rand(2) for _ in numbers]

# by position
print(Dataset(features=tensors, number=numbers)[3])

# by identifier, and by position, too
identifiers = ["water", 12, ("ice", "VII"), "methane", 0, 3.5]
indexed = IndexedDataset(features=tensors, number=numbers, sample_id=identifiers)
for identifier in identifiers:
    print(indexed.get_sample(identifier))
print(indexed[0], indexed.get_sample("water"))

# batches have the identifiers first
loader = DataLoader(indexed, batch_size=4)
for batch in loader:
    print(batch)
for sample_id, features, number in loader:
    print(sample_id, features, number)

# functions are given identifiers
folder = Path("data")
folder.mkdir(exist_ok=True)
for identifier, tensor in zip(identifiers, tensors, strict=True):
    torch.save(tensor, folder / f"features_{identifier}.pt")


def load_features(identifier):
    print(f"features of {identifier} are read")
    return torch.load(folder / f"features_{identifier}.pt")


mixed = IndexedDataset(features=load_features, number=numbers, sample_id=identifiers)
print(mixed.get_sample("methane"), mixed.get_sample(("ice", "VII")))

# some numbers out of many, in an order of one's own
some = IndexedDataset(features=tensors, number=numbers, sample_id=[9, 4, 120, 3, 77, 5])
print(some.get_sample(5), some[5])
for batch in DataLoader(some, batch_size=4):
    print(batch)
