"""Report text: sections, sentences, statements, phrases, prompt tables; by anatomy, of exams, tokenizers.

    statements = read_report("Heart size is normal. Small left effusion.", "cxr")
    judge_phrase("no effusion", "cxr").reason  # "denies a finding"

The language model and the tokenizers, which load PyTorch, are imported when first asked for.
"""

import lazy_loader

from scripts.reports.phrases import judge_phrase as judge_phrase
from scripts.reports.prompt_tables import read_prompts as read_prompts
from scripts.reports.reading import read_report as read_report

__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["by_anatomy", "exams", "tokens"])
