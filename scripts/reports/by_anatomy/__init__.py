"""Reports of volumes taken apart by anatomy."""

from scripts.reports.by_anatomy.asked import asked_prompts as asked_prompts
from scripts.reports.by_anatomy.asked import known_prompts as known_prompts
from scripts.reports.by_anatomy.prompts import read_anatomy_prompts as read_anatomy_prompts
from scripts.reports.by_anatomy.table import AnatomyTable as AnatomyTable
from scripts.reports.by_anatomy.table import read_label_table as read_label_table
