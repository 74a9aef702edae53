"""What a case is: kinds of records, their files and keys; findings; domains."""

from scripts.cases.domain import Domain as Domain
from scripts.cases.domain import read_domain as read_domain
from scripts.cases.finding import Finding as Finding
from scripts.cases.kind import KINDS as KINDS
from scripts.cases.kind import kind_of as kind_of
