"""Reports of exams of several images: lexicon, sentences, regions, findings."""

from scripts.reports.exams.lexicon import ExamLexicon as ExamLexicon
from scripts.reports.exams.reports import exam_sentences as exam_sentences
