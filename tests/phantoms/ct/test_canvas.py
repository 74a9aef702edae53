"""The shapes that phantom volumes are drawn of."""

import numpy as np
import pytest

from scripts.phantoms.ct.canvas import Canvas, curve, profile, rotation, smooth_noise


@pytest.fixture
def canvas() -> Canvas:
    """60 x 60 x 60 mm in voxels of 1.5 x 1.5 x 2 mm, a little bent."""
    step = np.array([1.5, 1.5, 2.0])
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (40, 40, 30)], indexing="ij")).astype(np.float32)
    coordinates = index * step[:, None, None, None].astype(np.float32) - 30
    coordinates[0] += 2 * np.sin(coordinates[1] / 20)
    return Canvas(coordinates, step)


def test_an_ellipsoid_has_its_volume_and_its_box_leaves_nothing_out(canvas):
    axes = rotation(np.random.default_rng(0), 40)
    shape = canvas.ellipsoid(np.array([3, -2, 1]), np.array([16, 10, 7]), axes)
    whole = Canvas(canvas.coordinates, canvas.step)
    whole.box = lambda low, high: (slice(None),) * 3
    assert (canvas.filled(shape) == whole.filled(whole.ellipsoid(np.array([3, -2, 1]), np.array([16, 10, 7]), axes))).all()
    assert canvas.filled(shape).sum() * 4.5 == pytest.approx(4 / 3 * np.pi * 16 * 10 * 7, rel=0.03)


def test_a_tube_is_a_cylinder_with_round_ends(canvas):
    radius = 7.3
    shape = canvas.tube([(-12, 0.6, 0.3), (0, 0.6, 0.3), (12, 0.6, 0.3)], radius)
    assert canvas.filled(shape).sum() * 4.5 == pytest.approx(np.pi * radius**2 * (24 + 4 / 3 * radius), rel=0.04)


def test_edges_are_covered_in_part_and_labels_are_not(canvas):
    canvas.paint(canvas.ellipsoid(np.zeros(3), 12), 0.0, 7)
    assert canvas.hu.min() == -1000 and canvas.hu.max() == 0
    edge = (canvas.hu > -1000) & (canvas.hu < 0)
    assert edge.any() and set(np.unique(canvas.mask)) == {0, 7}
    assert (canvas.hu[canvas.mask == 7] >= -500).all() and (canvas.hu[canvas.mask == 0] <= -500).all()


def test_shapes_outside_of_the_grid_paint_nothing(canvas):
    for shape in (canvas.ellipsoid(np.array([0, 0, 200]), 12), canvas.tube([(0, 0, 100), (0, 0, 150)], 5)):
        canvas.paint(shape, 0.0, 1)
    assert (canvas.hu == -1000).all() and not canvas.mask.any()


@pytest.mark.parametrize("grain", [1.0, 1.4, 6.0, (2.0, 2.0, 5.0)])
def test_noise_has_deviation_one_and_no_coarser_grain_than_said(grain):
    noise = smooth_noise(np.random.default_rng(1), (60, 50, 40), grain)
    assert noise.shape == (60, 50, 40) and noise.dtype == np.float32
    assert noise.std() == pytest.approx(1, abs=0.15)
    far = int(5 * np.max(grain))
    assert abs((noise[far:] * noise[:-far]).mean()) < 0.15
    if np.max(grain) >= 5:
        assert (noise[:, :, 1:] * noise[:, :, :-1]).mean() > 0.9


def test_curves_pass_through_their_points_and_profiles_interpolate():
    points = [(0, 0, 0), (20, 5, 0), (30, 30, 10)]
    course = curve(points, 4)
    assert all(np.linalg.norm(course - p, axis=1).min() < 1e-4 for p in np.array(points))
    assert np.linalg.norm(np.diff(course, axis=0), axis=1).max() < 6
    where = np.array([-50, 0.2, 5, 10, 99], np.float32)
    np.testing.assert_allclose(profile(where, (0, 10), (1, 3)), [1, 1, 2, 3, 3], atol=0.11)
