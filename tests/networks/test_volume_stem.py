import numpy as np
import pytest
import torch

from scripts.networks import VolumeEncoder
from scripts.networks.volume_stem import DensityStatistics, VolumeStem

WINDOWS = [[0.0, 0.5], [0.6, 0.7]]


def test_statistics_are_those_of_each_block_through_each_window():
    volume = torch.rand(2, 1, 4, 6, 8, generator=torch.Generator().manual_seed(1))
    found = DensityStatistics(WINDOWS, (2, 3, 4))(volume)
    assert found.shape == (2, 6, 2, 2, 2)
    for window, (low, high) in enumerate(WINDOWS):
        seen = np.clip((volume[1, 0, 2:4, 0:3, 4:8].numpy() - low) / (high - low), 0, 1)
        expected = [seen.mean(), seen.max(), seen.min()]
        np.testing.assert_allclose(found[1, 3 * window : 3 * window + 3, 1, 0, 1], expected, atol=1e-6)


def test_each_stage_halves_the_grid():
    stem = VolumeStem(WINDOWS, (2, 2, 1), [5, 7])
    assert stem(torch.rand(1, 1, 16, 16, 8)).shape == (1, 7, 2, 2, 2)
    assert stem.channels == 7


def test_an_encoder_with_a_stem_keeps_the_grid_of_its_patches():
    encoder = VolumeEncoder((16, 16, 32), (8, 8, 16), 16, 16, 2, 2, [0], 0.0, density_windows=WINDOWS, stem=[4])
    assert [level.shape for level in encoder(torch.rand(1, 1, 16, 16, 32))] == [(1, 8, 16)] * 2
    assert encoder.stem[0].block == (4, 4, 8)
    again = VolumeEncoder(**encoder.architecture)
    again.load_state_dict(encoder.state_dict())


@pytest.mark.parametrize("windows", [[], [[0.5, 0.5]], [[0.1, 0.4], [0.9, 0.2]]])
def test_windows_without_width_are_refused(windows):
    with pytest.raises(ValueError, match="low end below its high end"):
        VolumeEncoder((16, 16, 16), (8, 8, 8), 16, 16, 1, 2, [], 0.0, density_windows=windows, stem=[4])


def test_a_patch_that_the_stages_do_not_fill_is_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        VolumeEncoder((12, 12, 12), (6, 6, 6), 16, 16, 1, 2, [], 0.0, density_windows=WINDOWS, stem=[4, 4])
