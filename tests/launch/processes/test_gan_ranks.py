"""A GAN gives the same result on several processes as on one, with and without privacy."""

import pytest

from tests.launch import gan_ranks_job
from tests.launch.jobs import forked
from tests.launch.processes.test_ranks import difference, final_weights
from tests.lightning_modules.test_gan import gan

pytestmark = pytest.mark.slow

STEPS = 8


def test_neither_fit_depends_on_the_number_of_processes(tmp_path_factory: pytest.TempPathFactory) -> None:
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    gan_ranks_job.main(alone, STEPS)
    result = forked(2, lambda: gan_ranks_job.main(together, STEPS), together / "output")
    assert result.returncode == 0, result.text[-3000:]
    for fit in ("weights", "public"):
        one, two = final_weights(alone, 1, fit), final_weights(together, 2, fit)
        assert difference(one, two) < 1e-6
        prefix = "model." if fit == "weights" else "generator."
        moved = {name.removeprefix(prefix): value for name, value in one.items() if name.startswith(prefix)}
        start = gan().state_dict()
        assert difference(start, moved) > 1e-3
        assert any("network.blocks" in name and difference({"": start[name]}, {"": moved[name]}) > 0 for name in start)
