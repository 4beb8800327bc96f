"""Laws of files: what is saved to one comes back from it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...strategies import labels, tensor_blocks, tensor_maps
from ..law import data_law
from ..session import Session


def _ways(kind: str, load: str) -> list[str]:
    """How data of a kind is saved to a file and loaded again, by functions and by methods."""
    ways = []
    for save in ("files.save(path, x)", "x.save(path)"):
        for loaded in (f"files.{load}(path)", f"{kind}.load(path)"):
            # metatensor's core gives arrays of numpy unless it is told otherwise
            for converted in ("y", "y.to(arrays='torch')")[: 1 if kind == "Labels" else 2]:
                ways.append(
                    "with tempfile.TemporaryDirectory() as folder:\n"
                    "    path = os.path.join(folder, 'x.mts')\n"
                    f"    {save}\n"
                    f"    y = {loaded}\n"
                    f"y = {converted}"
                )
    return ways


@data_law("labels", labels(), ways=_ways("Labels", "load_labels"))
def labels_come_back_from_a_file(f: Session, x: Any, draw: Any) -> Any:
    """They are those that were saved. [doc] Labels.save: "Save these Labels to a file, this is
    equivalent to metatensor.torch.save"; load: "Load a serialized Labels from the file"."""
    return f.run(draw(st.sampled_from(f.ways), label="way"), x=x), x


@data_law("tensor_block", tensor_blocks(max_gradients=2), ways=_ways("TensorBlock", "load_block"))
def blocks_come_back_from_a_file(f: Session, x: Any, draw: Any) -> Any:
    """They are those that were saved, gradients included. [doc] TensorBlock.save: "Save this TensorBlock
    to a file, this is equivalent to metatensor.torch.save"; load: "Load a serialized TensorBlock from
    the file"."""
    return f.run(draw(st.sampled_from(f.ways), label="way"), x=x), x


@data_law("tensor_map", tensor_maps(max_gradients=2), ways=_ways("TensorMap", "load"))
def maps_come_back_from_a_file(f: Session, x: Any, draw: Any) -> Any:
    """They are those that were saved, gradients included. [doc] TensorMap.save: "Save this TensorMap to
    a file, this is equivalent to metatensor.torch.save"; load: "Load a serialized TensorMap from the
    file"."""
    return f.run(draw(st.sampled_from(f.ways), label="way"), x=x), x
