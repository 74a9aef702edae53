"""Tables of text."""

from scripts.files.text_table import text_table


def test_columns_stand_one_below_the_other_and_cells_as_they_are_written():
    lines = text_table(
        ["", "cases", "[bold]AUC"], [["  lung [1]", 7, "0.81 (0.7-0.9)"], ["macro", None, "0.9"], ["short"]]
    ).splitlines()
    assert lines == [
        "            cases       [bold]AUC",
        "  lung [1]      7  0.81 (0.7-0.9)",
        "macro                         0.9",
        "short",
    ]


def test_long_cells_are_cut_where_a_width_is_given():
    rows = [["a" * 50, "b" * 300]]
    assert text_table(["x", "y"], rows).splitlines()[1] == f"{'a' * 50}  {'b' * 300}"
    assert text_table(["x", "y"], rows, max_width=10).splitlines()[1] == f"{'a' * 9}…  {'b' * 9}…"
