"""Hypothesis strategies for TensorMaps and for modules on them."""

if __name__ == "strategies":
    raise ImportError("these strategies are imported as tmref.strategies: install tmref first")
