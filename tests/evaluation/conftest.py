"""Files that several tests read."""

from pathlib import Path

import pytest
import torch

from tests.evaluation.inception_files import random_inception_network


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the format of pytorch-fid's weights, with random weights."""
    path = tmp_path_factory.mktemp("weights") / "any-name.pth"
    torch.save(random_inception_network().state_dict(), path)
    return path
