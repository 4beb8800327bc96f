"""The kinds of the catalog: a file each with all that is known of a class, its twin and its rows."""
