"""Values of flags, as `scripts.command_line` understands them."""

import pytest

from scripts.command_line import UsageError, numbers


@pytest.mark.parametrize("typed", ["1,1,3", "1, 1, 3", (1, 1, 3), [1.0, 1.0, 3.0], "(1,1,3)", "[1, 1, 3]"])
def test_numbers_however_they_are_typed(typed):
    assert numbers("spacing", typed, 3, float) == (1.0, 1.0, 3.0)


def test_numbers_are_of_the_kind_that_is_asked_for():
    found = numbers("smallest", "112,256,352", 3, int)
    assert found == (112, 256, 352) and all(type(part) is int for part in found)
    assert numbers("spacing", ".5,0.75,1e1", 3, float) == (0.5, 0.75, 10.0)


@pytest.mark.parametrize(
    "typed", ["1,1", "1,1,3,4", "1", 1, "", "1,,3", "1,one,3", "1;1;3", "0,1,3", "1,1,-3", "1,1,3mm", None, True]
)
def test_a_bad_spacing_is_told_with_its_flag(typed):
    with pytest.raises(UsageError) as caught:
        numbers("spacing", typed, 3, float)
    assert str(caught.value) == f"--spacing is {typed}; give 3 numbers above 0, as in --spacing=1,1,3"


@pytest.mark.parametrize("typed", ["112,256,3.5", "112,256,0"])
def test_voxels_are_whole(typed):
    with pytest.raises(UsageError, match="give 3 whole numbers above 0"):
        numbers("smallest", typed, 3, int)
