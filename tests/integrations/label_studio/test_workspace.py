"""The working folder."""

import pytest

from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.workspace import check_project


@pytest.mark.parametrize("name", ["ab", "a/b", "../..", "a" * 51, "-abc", ""])
def test_project_names_that_are_no_folders(name):
    with pytest.raises(LabelStudioError, match="3 to 50"):
        check_project(name)
