"""Phantom cases that several tests look at; making them takes seconds."""

import pytest

from scripts.phantoms.cxr.case import PhantomCase, make_case

FILMS = 250


@pytest.fixture(scope="session")
def cases() -> list[PhantomCase]:
    """Test cases of five blocks: 40 films with each finding, 50 without any."""
    return [make_case(5, "test", index) for index in range(FILMS)]
