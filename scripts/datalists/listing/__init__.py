"""Cases named on a command line -> records."""

from scripts.datalists.listing.exam import exam_records as exam_records
from scripts.datalists.listing.image import image_records as image_records
from scripts.datalists.listing.volume import volume_records as volume_records
