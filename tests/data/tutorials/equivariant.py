# A model that is equivariant under rotations: linear layers per block, biases on invariants only.
import metatensor.torch as mts
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatensor.torch.learn.nn import EquivariantLinear, InvariantReLU, Sequential

torch.manual_seed(42)
torch.set_default_dtype(torch.float64)

# features: the density of neighbours around each atom of a molecule, by degree o3_lambda
features = mts.remove_gradients(mts.load("spherical-expansion.mts"))
print(features)

# targets: a scalar and a symmetric traceless tensor for the whole molecule
target_keys = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, 1], [2, 1]]))
target_blocks = []
for key in target_keys:
    size = 2 * int(key["o3_lambda"]) + 1
    mu = torch.arange(size, dtype=torch.int32) - size // 2
    target_blocks.append(
        TensorBlock(
            values=torch.rand(1, size, 1),
            samples=Labels(["system"], torch.tensor([[0]])),
            components=[Labels(["o3_mu"], mu.reshape(-1, 1))],
            properties=Labels(["_"], torch.tensor([[0]])),
        )
    )
target = TensorMap(keys=target_keys, blocks=target_blocks)
print(target, target[0])

# there is no target of degree 1
features = mts.filter_blocks(features, Labels(["o3_lambda"], torch.tensor([[0], [2]])))
print(features)

in_keys = features.keys
in_features = [len(features[key].properties) for key in in_keys]
linear = EquivariantLinear(in_keys=in_keys, in_features=in_features, out_features=1)
print(in_keys)
print(linear)

per_pair = linear(features)
print(per_pair, per_pair[0])


def of_the_molecule(tensor):
    tensor = tensor.keys_to_samples(["center_type", "neighbor_type"])
    return mts.sum_over_samples(tensor, ["atom", "center_type", "neighbor_type"])


prediction = of_the_molecule(per_pair)
print(prediction, prediction[0])
assert mts.equal_metadata(prediction, target)


def squared_error(block, wanted):
    return (block.values - wanted.values).pow(2).sum()


def train(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(41):
        optimizer.zero_grad()
        prediction = of_the_molecule(model(features))
        assert mts.equal_metadata(prediction, target)
        loss = sum(squared_error(prediction[key], target[key]) for key in target.keys)
        loss.backward()
        optimizer.step()
        if epoch % 10 == 0:
            print(f"epoch {epoch}, loss {loss.item()!r}")


def report(model):
    with torch.no_grad():
        prediction = of_the_molecule(model(features))
        for key, block in prediction.items():
            print(key, squared_error(block, target[key]).item())


train(linear)
report(linear)

# nonlinear where that is equivariant: on the invariants
model = Sequential(
    in_keys,
    EquivariantLinear(in_keys=in_keys, in_features=in_features, out_features=4),
    InvariantReLU(in_keys=in_keys),
    EquivariantLinear(in_keys=in_keys, in_features=[4] * len(in_keys), out_features=1),
)
print(model)
train(model)
report(model)
