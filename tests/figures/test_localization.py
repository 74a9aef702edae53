import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from scripts.figures.localization import FOUND_COLOUR, TRUTH_COLOUR, grid_figure, overlay_figure
from scripts.inferers.regions import regions_from_map


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255.0


def area_of(picture, colour):
    """Pixels of nearly that colour: mean and number."""
    rows, columns = np.nonzero(np.abs(picture - to_rgb(colour)).max(-1) < 0.05)
    return (rows.mean(), columns.mean()) if len(rows) else None, len(rows)


@pytest.fixture
def case():
    heat = np.zeros((80, 100))
    heat[20:40, 60:90] = 1
    mask = np.zeros((80, 100), np.uint8)
    mask[50:70, 10:30] = 255
    return {
        "film": np.full((80, 100), 0.4),
        "heat": heat,
        "boxes": [[10, 50, 20, 20]],
        "mask": mask,
        "regions": regions_from_map(heat, 0.5, 0, 3),
        "title": "consolidation",
    }


def test_truth_and_found_regions_stand_where_they_are(case):
    figure = overlay_figure(**{**case, "mask": None})
    picture = pixels(figure)
    (axis,) = figure.axes
    height = picture.shape[0]

    def place(x, y):
        column, row = axis.transData.transform((x, y))
        return height - row, column

    above_legend = picture[: int(height - axis.bbox.y0)]
    (row, column), count = area_of(above_legend, TRUTH_COLOUR)
    assert count > 50
    assert np.hypot(*np.subtract((row, column), place(19.5, 59.5))) < 4
    (row, column), count = area_of(above_legend, FOUND_COLOUR)
    assert count > 50
    assert np.hypot(*np.subtract((row, column), place(74.5, 29.5))) < 12  # the score stands above the region


def test_heat_shows_the_film_where_it_is_cold(case):
    figure = overlay_figure(**{**case, "boxes": [], "mask": None, "regions": []})
    picture = pixels(figure)
    (axis,) = figure.axes

    def colour(x, y):
        column, row = axis.transData.transform((x, y))
        return picture[int(picture.shape[0] - row), int(column)]

    np.testing.assert_allclose(colour(20, 20), [0.4] * 3, atol=0.01)
    hot = colour(75, 30)
    assert hot[0] > hot[2] + 0.2
    assert not figure.legends


def test_the_legend_names_what_is_shown_and_no_more(case):
    def labels(figure):
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()]

    assert labels(overlay_figure(**case)) == ["true box", "true outline", "found, with score"]
    assert labels(overlay_figure(**{**case, "regions": [], "boxes": []})) == ["true outline"]


def test_a_grid_holds_every_case_and_leaves_no_global_figure(case, tmp_path):
    empty = {"film": np.linspace(0, 1, 60 * 40).reshape(60, 40), "heat": None, "boxes": [], "mask": None, "regions": []}
    long = " ".join(["a phrase that has to be wrapped"] * 4)
    figure = grid_figure([case, {**empty, "title": long}, {**case, "heat": np.full((80, 100), np.nan), "title": "?"}], columns=2)
    figure.savefig(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 10_000
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0] == "consolidation"
    assert titles[1].replace("\n", " ") == long
    assert max(map(len, titles[1].splitlines())) <= 44
    assert titles[2:] == ["?", ""]
    assert plt.get_fignums() == []


def test_a_constant_heat_and_a_region_at_the_edge_are_drawn(case):
    edge = np.ones((80, 100))
    case = {**case, "heat": edge, "regions": regions_from_map(edge, 0.5, 0, 1)}
    figure = overlay_figure(**case)
    assert area_of(pixels(figure), FOUND_COLOUR)[1] > 200
    (axis,) = figure.axes
    assert axis.get_xlim() == (-0.5, 99.5)
    assert axis.get_ylim() == (79.5, -0.5)


def test_arrays_of_another_shape_are_refused(case):
    for name, value in [("heat", np.zeros((100, 80))), ("mask", np.zeros((8, 8))), ("film", np.zeros((40, 50)))]:
        with pytest.raises(ValueError, match=r"'consolidation': the (heat|mask) has shape"):
            overlay_figure(**{**case, name: value})
    with pytest.raises(ValueError, match="0 cases"):
        grid_figure([], 2)
