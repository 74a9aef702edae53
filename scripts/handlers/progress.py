"""A progress bar for long work."""

from ignite.engine import Engine
from ignite.handlers import ProgressBar


class ProgressHandler:
    """Ignite's progress bar with the loss of each iteration, where the engine has one; attachable from a config's handler list."""

    def attach(self, engine: Engine) -> None:
        ProgressBar(persist=True).attach(engine, output_transform=_shown)


def _shown(output: dict) -> dict[str, float]:
    return {"loss": output["loss"]} if "loss" in output else {}
