"""Everything that is drawn: charts, overlays, maps of a training."""

from scripts.figures.exam_embeddings import ExamEmbeddingFile as ExamEmbeddingFile
from scripts.figures.exam_overlays import ExamOverlays as ExamOverlays
from scripts.figures.training_maps import ExamMaps as ExamMaps
from scripts.figures.training_maps import FilmMaps as FilmMaps
from scripts.figures.training_maps import TrainingHeatMaps as TrainingHeatMaps
from scripts.figures.training_maps import VolumeMaps as VolumeMaps
from scripts.figures.volume_overlays import VolumeOverlays as VolumeOverlays
