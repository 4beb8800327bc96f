# One layer and two, first in plain torch, then on maps: one training loop is for both.
import metatensor.torch as mts
import torch
from metatensor.torch import Labels, TensorMap
from metatensor.torch.learn.nn import Linear, ReLU, Sequential

torch.manual_seed(42)
torch.set_default_dtype(torch.float64)

SAMPLES, FEATURES, HIDDEN, TARGETS = 100, 128, 64, 1
inputs = torch.randn(SAMPLES, FEATURES)
targets = torch.randn(SAMPLES, TARGETS)


def train(title, model, error, x, y):
    print(title)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1001):
        optimizer.zero_grad()
        loss = error(model(x), y)
        loss.backward()
        optimizer.step()
        if epoch % 100 == 0:
            print(f"epoch {epoch}, loss: {loss.item()!r}")


squared_error = torch.nn.MSELoss(reduction="sum")
layer = torch.nn.Linear(FEATURES, TARGETS, bias=True)
train("plain torch, one layer", layer, squared_error, inputs, targets)

layers = torch.nn.Sequential(
    torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, TARGETS)
)
train("plain torch, two layers", layers, squared_error, inputs, targets)


# the same numbers with labels: one block, whose samples, components and properties count from 0
def map_of(tensor):
    return TensorMap(keys=Labels.single(), blocks=[mts.block_from_array(tensor)])


x, y = map_of(inputs), map_of(targets)
print(x.block(), y.block())
# a layer changes the properties, and nothing else
assert mts.equal_metadata(x, y, check=["samples", "components"])
assert not mts.equal_metadata(x, y)


class SquaredError(torch.nn.Module):
    def forward(self, prediction, target):
        assert mts.equal_metadata(prediction, target)
        differences = (prediction[key].values - target[key].values for key in prediction.keys)
        return sum(torch.sum(difference**2) for difference in differences)


# told the properties of the targets, a layer labels its output with them
last = {"in_keys": x.keys, "out_properties": [block.properties for block in y], "bias": True}
train("maps, one layer", Linear(in_features=FEATURES, **last), SquaredError(), x, y)

hidden = Linear(in_keys=x.keys, in_features=FEATURES, out_features=HIDDEN, bias=True)
on_maps = Sequential(x.keys, hidden, ReLU(in_keys=x.keys), Linear(in_features=HIDDEN, **last))
train("maps, two layers", on_maps, SquaredError(), x, y)
