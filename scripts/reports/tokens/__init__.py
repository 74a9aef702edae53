"""Tokenizers and the text models that they belong to."""

from scripts.reports.tokens.text_models import text_model_of as text_model_of
from scripts.reports.tokens.text_tokenizer import TextTokenizer as TextTokenizer
from scripts.reports.tokens.tokenizers import ReportTokenizer as ReportTokenizer
