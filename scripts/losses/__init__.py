"""Contrastive losses."""

from scripts.losses.afloc_loss import AFLocLoss as AFLocLoss
from scripts.losses.fvlm_loss import FVLMLoss as FVLMLoss
from scripts.losses.image_report_loss import ImageReportLoss as ImageReportLoss
from scripts.losses.local_alignment import attention_maps as attention_maps
from scripts.losses.local_alignment import local_alignment as local_alignment
from scripts.losses.nasvlm_loss import NasVLMLoss as NasVLMLoss
from scripts.losses.screening_loss import ScreeningLoss as ScreeningLoss
