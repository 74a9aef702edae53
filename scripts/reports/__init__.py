"""Report text: sections, sentences, polarity, prompt tables; by anatomy, of exams, tokenizers.

Rooms within are imported when first asked for: tokenizers load PyTorch, the others do not.
"""

import lazy_loader

from scripts.reports.prompt_tables import read_prompts as read_prompts

__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["by_anatomy", "exams", "language_model", "tokens"])
