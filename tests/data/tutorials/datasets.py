# Datasets of tensors, numbers and maps, in memory and in files, and loaders that join their samples.
from pathlib import Path

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatensor.torch.learn.data import DataLoader, Dataset

torch.manual_seed(7)
numbers = list(range(6))
tensors = [torch.rand(2) for _ in numbers]

# all of it in memory
in_memory = Dataset(features=tensors, number=numbers)
print(in_memory[0])
for sample in in_memory:
    print(sample)
with_names = Dataset(features=tensors, number=numbers, name=list("uvwxyz"))
print(with_names[1], with_names[5].name)

# a field in files, which are read one by one
folder = Path("data")
folder.mkdir(exist_ok=True)
for i in numbers:
    torch.save(tensors[i], folder / f"features_{i}.pt")
    torch.save(numbers[i], folder / f"number_{i}.pt")


def load_features(i):
    print(f"features of {i} are read")
    return torch.load(folder / f"features_{i}.pt")


def load_number(i):
    print(f"the number of {i} is read")
    return torch.load(folder / f"number_{i}.pt")


print(load_features(0))
print(Dataset(features=load_features, number=numbers)[4])

# all fields in files
in_files = Dataset(features=load_features, number=load_number, size=len(numbers))
print(in_files[2], len(in_files))

# loaders
loader = DataLoader(in_memory)
for batch in loader:
    print(batch.number)
for features, number in loader:
    print(features, number)
for batch in DataLoader(in_memory, batch_size=4, shuffle=True):
    print(batch.number)

# parts for training, validation and tests
for part in torch.utils.data.random_split(in_memory, [0.5, 0.25, 0.25]):
    print(len(DataLoader(part)), [batch.number for batch in DataLoader(part)])

# maps, which are joined along their samples, as tensors are stacked
maps = []
for i in numbers:
    block = TensorBlock(
        values=torch.rand(1, 2),
        samples=Labels("system", torch.tensor([[i]])),
        components=[],
        properties=Labels("n", torch.tensor([[2], [7]])),
    )
    keys = Labels(["center_type", "o3_lambda"], torch.tensor([[6, 0]]))
    maps.append(TensorMap(keys=keys, blocks=[block]))
energies = [float(torch.rand(1)) for _ in numbers]
forces = [torch.rand(1, 3) for _ in numbers]
of_maps = Dataset(energy=energies, forces=forces, descriptor=maps)
print(of_maps[0].descriptor, of_maps[0].energy)
for batch in DataLoader(of_maps, batch_size=4):
    print(batch.descriptor, batch.descriptor[0], batch.descriptor[0].samples)
    print(batch.descriptor[0].values, batch.energy, batch.forces)
