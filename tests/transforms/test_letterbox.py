import cv2
import numpy as np
import pytest
import torch

from scripts.transforms.letterbox import Letterbox

# Wide, tall, square, odd, equal to the square's side, smaller than it, one pixel short of square, very long.
SHAPES = [(1024, 1280), (1281, 1023), (512, 512), (317, 401), (224, 224), (130, 97), (63, 64), (2500, 301)]
SIZE = 224


@pytest.mark.parametrize(
    ("shape", "inner", "offset"),
    [
        ((1024, 1280), (179, 224), (22, 0)),
        ((401, 317), (224, 177), (0, 23)),  # 47 pixels of padding: 23 left, 24 right
        ((100, 100), (224, 224), (0, 0)),
        ((97, 97), (224, 224), (0, 0)),  # 97 * (224 / 97) is 223.99.. in floating point
        ((1, 1000), (1, 224), (111, 0)),
    ],
)
def test_geometry_by_hand(shape, inner, offset):
    letterbox = Letterbox(shape, SIZE)
    assert letterbox.inner_shape == inner
    assert letterbox.offset == offset


def test_equals_the_published_preprocessing(afloc_film):
    path, name, numbers = afloc_film
    film = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    for image in (film.astype(np.float32) / np.float32(255), film):
        square = Letterbox(film.shape, SIZE).apply(image)
        assert square.dtype == image.dtype
        square = square.astype(np.float32) / 255 if square.dtype == np.uint8 else square
        numbers.near(name, (square - 0.5) / 0.5)


def test_all_256_levels_count_as_eight_bits_and_finer_ones_do_not():
    levels = np.arange(256, dtype=np.uint8).repeat(256).reshape(256, 256)
    square = Letterbox(levels.shape, 100).apply(levels.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(square * 255, np.rint(square * 255))
    fine = (levels.astype(np.float32) + 0.3) / 256
    square = Letterbox(levels.shape, 128).apply(fine)
    np.testing.assert_allclose(square, fine.reshape(128, 2, 128, 2).mean((1, 3)), atol=1e-6)


def test_values_outside_the_unit_interval_do_not_wrap_around():
    film = np.full((40, 40), -1, np.float32)
    film[20:] = 2
    np.testing.assert_array_equal(Letterbox(film.shape, 40).apply(film), film)


@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_survive_the_round_trip(shape):
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 1, (50, 4)) * [shape[1], shape[0], shape[1], shape[0]]
    letterbox = Letterbox(shape, SIZE)
    np.testing.assert_allclose(letterbox.boxes_to_native(letterbox.boxes_to_network(boxes)), boxes, atol=1e-6)
    top, left = letterbox.offset
    height, width = letterbox.inner_shape
    np.testing.assert_allclose(letterbox.boxes_to_network([[0, 0, shape[1], shape[0]]]), [[left, top, width, height]])


def test_no_boxes_stay_no_boxes():
    assert Letterbox((50, 60), SIZE).boxes_to_network([]).shape == (0, 4)
    assert Letterbox((50, 60), SIZE).boxes_to_native([]).shape == (0, 4)


@pytest.mark.parametrize("shape", [(448, 448), (896, 672), (224, 112), (448, 896)])
def test_masks_of_aligned_shapes_survive_the_round_trip(shape):
    """Shapes that the square divides: a mask of whole network pixels comes back as it was."""
    letterbox = Letterbox(shape, SIZE)
    blocks = np.random.default_rng(0).random(letterbox.inner_shape) > 0.5
    step = shape[0] // letterbox.inner_shape[0]
    mask = blocks.repeat(step, 0).repeat(step, 1)
    there = letterbox.mask_to_network(mask)
    assert there.dtype == bool
    assert there.sum() == blocks.sum()
    np.testing.assert_array_equal(letterbox.mask_to_native(there), mask)
    np.testing.assert_array_equal(letterbox.mask_to_network(mask.astype(np.uint8) * 255), there)


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_take_the_nearest_pixel_centre(shape):
    letterbox = Letterbox(shape, SIZE)
    (top, left), inner = letterbox.offset, letterbox.inner_shape
    mask = np.random.default_rng(0).random(shape) > 0.5
    found = letterbox.mask_to_network(mask)
    # The centre of network pixel k lies at (2k + 1) * side / (2n); on the edge between two pixels either is nearest.
    doubled = [(2 * np.arange(n) + 1) * side for n, side in zip(inner, shape, strict=True)]
    lower, upper = (
        mask[np.ix_(*((centres - take) // (2 * n) for centres, n in zip(doubled, inner, strict=True)))] for take in (1, 0)
    )
    inside = found[top : top + inner[0], left : left + inner[1]]
    assert ((inside == lower) | (inside == upper)).all()
    assert found.sum() == inside.sum()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_ramp_of_native_coordinates_survives_away_from_borders(shape, axis):
    letterbox = Letterbox(shape, SIZE)
    offset, inner, side = letterbox.offset[axis], letterbox.inner_shape[axis], shape[axis]
    line = (np.arange(SIZE) + 0.5 - offset) * side / inner - 0.5  # native coordinate of each network pixel's centre
    ramp = np.broadcast_to(line[:, None] if axis == 0 else line[None], (SIZE, SIZE))
    native = letterbox.to_native(ramp.astype(np.float64))
    assert native.shape == shape
    margin = int(2 * np.ceil(max(side / inner, inner / side)))
    along = native.mean(1 - axis)
    exact = side >= inner  # a film smaller than the square is antialiased, whose sampled triangle is lopsided by a little
    np.testing.assert_allclose(along[margin:-margin], np.arange(side)[margin:-margin], atol=1e-9 * side if exact else 0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_peak_lands_at_its_native_pixel(shape):
    letterbox = Letterbox(shape, SIZE)
    for share in ([0.2, 0.7], [0.5, 0.5], [0.91, 0.13]):
        point = np.array(share) * shape  # continuous native coordinates, row and column
        box = letterbox.boxes_to_network([[point[1], point[0], 0, 0]])[0]
        heat = np.zeros((2, SIZE, SIZE), np.float32)
        heat[1, int(box[1]), int(box[0])] = 1
        native = letterbox.to_native(heat)
        assert not native[0].any()
        found = np.array(np.unravel_index(native[1].argmax(), shape)) + 0.5
        scale = np.array(shape) / letterbox.inner_shape
        assert (np.abs(found - point) <= 0.5 * scale + 0.5).all(), (found, point)


def test_padding_never_bleeds_into_the_film():
    letterbox = Letterbox((100, 300), SIZE)
    heat = np.full((SIZE, SIZE), -1000.0)
    top, (height, _) = letterbox.offset[0], letterbox.inner_shape
    heat[top : top + height] = 1
    np.testing.assert_allclose(letterbox.to_native(heat), 1, atol=1e-9)


def test_maps_keep_their_kind_and_leading_shape():
    letterbox = Letterbox((60, 90), 32)
    maps = torch.rand(2, 3, 32, 32)
    native = letterbox.to_native(maps)
    assert native.shape == (2, 3, 60, 90)
    as_numpy = letterbox.to_native(maps.numpy())
    assert isinstance(as_numpy, np.ndarray)
    np.testing.assert_array_equal(as_numpy, native.numpy())
    assert letterbox.to_native(np.eye(32, dtype=np.int64)).dtype == np.float32
    assert letterbox.to_native(maps.bfloat16()).dtype == torch.float32
    assert letterbox.to_native(maps[:0]).shape == (0, 3, 60, 90)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(60, 90\), got \(90, 60\)"):
        Letterbox((60, 90), 32).apply(np.zeros((90, 60), np.float32))
    with pytest.raises(ValueError, match=r"\(32, 32\), got \(31, 32\)"):
        Letterbox((60, 90), 32).to_native(np.zeros((4, 31, 32)))
    with pytest.raises(ValueError, match="positive size"):
        Letterbox((0, 90), 32)
