"""Tables as text, for a terminal."""

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]], max_width: int | None = None) -> str:
    """Columns one below the other: the first stands left, the others right.

    Args:
        header: titles of the columns.
        rows: as many cells as there are titles; None stands empty.
        max_width: characters that a cell may have; longer ones are cut and end in "…". All by default.

    Returns:
        lines without trailing spaces.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, title in enumerate(header):
        column = {"justify": "left" if number == 0 else "right", "overflow": "ellipsis", "no_wrap": True, "max_width": max_width}
        table.add_column(Text(title), header_style="", **column)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    page = StringIO()
    Console(file=page, width=10_000, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())
