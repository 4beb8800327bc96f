"""Laws that had another name in an earlier version: what has that is read with the name of now."""

from __future__ import annotations

#: The names that laws had, and those that they have.
RENAMED = {
    "moves_keep_the_dtype": "moving_to_a_device_keeps_the_dtype",
    "names_of_parts_are_refused": "a_buffer_cannot_take_the_name_of_a_part",
    "other_loading_leaves_the_rest": "non_strict_loading_keeps_other_buffers",
    "the_module_can_be_made_and_called": "it_can_be_made_and_called",
    "what_is_set_for_all_of_torch_stays": "what_is_set_for_the_whole_process_stays",
}


def name_now(law: str) -> str:
    """The name that a law has now; of LAW[ROW] that of the law."""
    name, bracket, row = law.partition("[")
    return f"{RENAMED.get(name, name)}{bracket}{row}"
