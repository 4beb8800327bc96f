# Any torch module for each block, and networks built of them.
import metatensor.torch as mts
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatensor.torch.learn.nn import ModuleMap

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)

IN, OUT, SAMPLES = 4, 2, 12
SELECTED = Labels(["key"], torch.tensor([[0], [2]]))


def map_of(sizes, features):
    return TensorMap(
        Labels.range("key", len(sizes)),
        [
            TensorBlock(
                torch.randn(size, features),
                Labels.range("sample", size),
                [],
                Labels.range("property", features),
            )
            for size in sizes
        ],
    )


features = map_of([SAMPLES, 0, SAMPLES + 3], IN)
target = map_of([SAMPLES, 0, SAMPLES + 3], OUT)
print(features)
print(features.keys)


def module_map(make, out):
    properties = [Labels.range("property", out) for _ in features.keys]
    return ModuleMap(features.keys, [make() for _ in features.keys], properties)


linear = module_map(lambda: torch.nn.Linear(IN, OUT), OUT)
print(linear)
prediction = linear(features)
print(prediction.keys)
print(prediction)
for block in prediction.blocks():
    print(block, tuple(block.values.shape))
assert mts.equal_metadata(prediction, target)

# a part of the map goes through the modules of that part
part = mts.filter_blocks(features, SELECTED)
print(part)
print(linear(part))
assert mts.allclose(linear(part), mts.filter_blocks(prediction, SELECTED))


def train(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(31):
        optimizer.zero_grad()
        prediction = model(features)
        loss = torch.zeros(())
        for key, block in prediction.items():
            loss = loss + (block.values - target[key].values).pow(2).sum()
        loss.backward()
        optimizer.step()
        if epoch % 10 == 0:
            print(f"epoch {epoch}, loss {loss.item()!r}")


train(linear)


def deep(out):
    return torch.nn.Sequential(
        torch.nn.LayerNorm(IN),
        torch.nn.Linear(IN, 6),
        torch.nn.ReLU(),
        torch.nn.Linear(6, out),
        torch.nn.Tanh(),
    )


network = module_map(lambda: deep(OUT), OUT)
print(network)
train(network)


class Residual(torch.nn.Module):
    """x + f(x), before a last layer."""

    def __init__(self):
        super().__init__()
        self.inner = module_map(lambda: deep(IN), IN)
        self.last = module_map(lambda: torch.nn.Linear(IN, OUT), OUT)

    def forward(self, tensor):
        return self.last(mts.add(tensor, self.inner(tensor)))


residual = Residual()
print(residual)
train(residual)
print(residual(features))
