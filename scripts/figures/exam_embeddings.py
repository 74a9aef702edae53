"""The embeddings of an inference, as a file for search, clustering and classifiers of one's own."""

from pathlib import Path

import numpy as np
from ignite.engine import Engine, Events

from scripts.files.atomic import atomic_path

FILE_NAME = "embeddings.npz"


class ExamEmbeddingFile:
    """Write embeddings.npz at the end of an `ExamInference`.

    Its arrays: `case_ids` [E] and `exams` [E, D], of length 1; of all images of all exams, one after the other, `image_case` [V]
    (row of the exam), `image_index` [V] (place among the exam's images), `images` [V, D], of length 1, and `attention` [V], which
    adds up to 1 in each exam.

    Args:
        folder: where the file goes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / FILE_NAME

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._exams: list[tuple] = []

    def _collect(self, engine: Engine) -> None:
        for case, exam in engine.state.output["embeddings"]:
            parts = (exam.exam[0], exam.images[0], exam.attention[0])
            self._exams.append((case["case_id"], case["image_indices"], *(part.float().cpu().numpy() for part in parts)))

    def _write(self, engine: Engine) -> None:
        if not self._exams:
            return
        case_ids, places, exams, images, attention = zip(*self._exams, strict=True)
        with atomic_path(self.path) as beside, open(beside, "wb") as file:
            np.savez(
                file,
                case_ids=np.array(case_ids),
                exams=np.stack(exams),
                image_case=np.repeat(np.arange(len(places)), [len(indices) for indices in places]),
                image_index=np.concatenate(places),
                images=np.concatenate(images),
                attention=np.concatenate(attention),
            )
