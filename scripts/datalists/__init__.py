"""The document that goes into a bundle: form, checks, splits, label fractions; listing, public data sets."""

import lazy_loader

from scripts.datalists.datalist import check_datalist as check_datalist
from scripts.datalists.datalist import load_datalist as load_datalist
from scripts.datalists.label_fractions import label_fraction as label_fraction

__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["label_fractions", "listing", "sources"])
