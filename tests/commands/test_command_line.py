"""Values of flags, as `scripts.commands.command_line` understands them."""

import pytest

from scripts.commands.command_line import UsageError, numbers, run_command, typed
from scripts.files.errors import UserError


@pytest.mark.parametrize("given", ["1,1,3", "1, 1, 3", (1, 1, 3), [1.0, 1.0, 3.0], "(1,1,3)", "[1, 1, 3]"])
def test_numbers_however_they_are_typed(given):
    assert numbers("spacing", given, 3, float) == (1.0, 1.0, 3.0)


def test_numbers_are_of_the_kind_that_is_asked_for():
    found = numbers("smallest", "112,256,352", 3, int)
    assert found == (112, 256, 352) and all(type(part) is int for part in found)
    assert numbers("spacing", ".5,0.75,1e1", 3, float) == (0.5, 0.75, 10.0)


@pytest.mark.parametrize(
    "given", ["1,1", "1,1,3,4", "1", 1, "", "1,,3", "1,one,3", "1;1;3", "0,1,3", "1,1,-3", "1,1,3mm", None, True]
)
def test_a_bad_spacing_is_told_with_its_flag(given):
    with pytest.raises(UsageError) as caught:
        numbers("spacing", given, 3, float)
    assert str(caught.value) == f"--spacing is {given}; give 3 numbers above 0, as in --spacing=1,1,3"


@pytest.mark.parametrize("given", ["112,256,3.5", "112,256,0"])
def test_voxels_are_whole(given):
    with pytest.raises(UsageError, match="give 3 whole numbers above 0"):
        numbers("smallest", given, 3, int)


def test_values_reach_the_verb_as_they_were_typed(capsys):
    seen = []

    def push(predictions, *, project, **settings):
        seen.append((predictions, project, settings))

    assert run_command({"push": push}, "program", ["push", "001", "--project", "2024", "--size=1e3"]) == 0
    assert seen == [("001", "2024", {"size": "1e3"})] and typed(seen[0][2]["size"]) == 1000.0
    assert run_command({"push": push}, "program", ["pusch"]) == 2 and 'perhaps "push"' in capsys.readouterr().err
    assert len(seen) == 1


def test_statuses_of_a_command(capsys):
    def fail(error):
        raise {"user": UserError("no such film"), "usage": UsageError("which?"), "stop": KeyboardInterrupt()}[error]

    assert [run_command(fail, "program", [error]) for error in ("user", "usage", "stop")] == [1, 2, 130]
    assert capsys.readouterr().err == "error: no such film\nerror: which?\ninterrupted\n"
    assert run_command(lambda word: 3, "program", ["x"]) == 3
