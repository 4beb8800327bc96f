"""How fast the modules of every implementation are, beside plain torch."""
