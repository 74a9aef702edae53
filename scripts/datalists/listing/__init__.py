"""Cases named on a command line -> records."""

from scripts.datalists.listing.exam import exam_records as exam_records
from scripts.datalists.listing.image import film_records as film_records
from scripts.datalists.listing.volume import volume_records as volume_records
