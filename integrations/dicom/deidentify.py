"""What can name a patient: taken out of reports, looked for in DICOM headers, refused where it is burnt into pixels.

Rules find what has a form: dates, numbers, names behind a title or a field's name. A name within a sentence has none; it is found
only where it is known, as from the image's own header (`identifiers_of`). Ages up to 89 years, years and measurements stay.
"""

# ruff: noqa: RUF001 - Chinese has marks of its own

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydicom.valuerep import PersonName

from integrations.dicom.headers import read_headers, read_series_headers
from scripts.files.read_error import ReadError

NAME, DATE, TIME, NUMBER, ADDRESS, AGE = "[name]", "[date]", "[time]", "[number]", "[address]", "over 89"

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\.?"
)
_YEAR = r"(?:19|20)\d\d"
_CAPITAL = r"(?:[A-ZÀ-Þ]\.|[A-ZÀ-Þ][\w'’-]+)"
_PERSON = rf"{_CAPITAL}(?:,?[ \t]+(?:(?:de|da|van|von|der|den|la|bin|al)[ \t]+)*{_CAPITAL}){{0,3}}"
# A field's value ends with the line, two spaces, a full stop that is not an initial's, or before the next field's name.
_VALUE = (
    r"[^\n;；。|]{1,80}?(?=[ \t]{2}|[ \t]*[\n;；。|]|(?<!\b[A-Z])\.(?:\s|$)"
    r"|,?[ \t]+(?:[A-Z]\w*(?:[ \t]\w+){0,3}|[\u4e00-\u9fff]{2,6})[ \t]*[:：#]|[ \t]*$)"
)
_NAME_FIELDS = (
    r"(?:patient(?:'s)?(?:[ \t]+name)?|name(?:[ \t]+of[ \t]+patient)?|(?:first|last|given|family)[ \t]+name|surname"
    r"|(?:referring|attending|ordering|requesting|reporting)[ \t]+(?:physician|doctor|clinician|provider|radiologist)"
    r"|physician|doctor|radiologist|technologist|(?:患者|病人)?姓名|患者|病人|(?:报告|审核|检查|申请|主治|诊断|操作)(?:医师|医生|者))"
)
_SIGNED = r"(?:report(?:ed)?|dictated|read|signed|reviewed|verified|approved|interpreted|transcribed|performed)[ \t]+by"
_NUMBER_FIELDS = (
    r"(?:mrn|ssn|nhs|(?:medical[ \t]+record|record|accession|hospital|exam(?:ination)?|case|account|insurance|policy|patient|study"
    r"|phone|telephone|mobile|fax|pager)[ \t]*(?:no\.?|number|id|#)?|tel\.?|id"
    r"|(?:病历|病案|住院|门诊|登记|检查|影像|病理|身份证|医保|床)号码?"
    r"|编号|电话|手机)"
)
_RULES = [
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b(?:https?://|www\.)\S+", re.I), ADDRESS),
    (re.compile(r"(?:\b(?:home[ \t]+)?address|\bresidence|住址|地址|单位)[ \t]*[:：][ \t]*[^\n]+", re.I), ADDRESS),
    (re.compile(rf"\b(?:Dr|DR|Mr|MR|Mrs|MRS|Ms|Miss|Prof|PROF|Professor|Doctor)\b\.?[ \t]+(?:med\.[ \t]+)?{_PERSON}"), NAME),
    (re.compile(rf"(?i:\b{_SIGNED})[ \t]*[:：]?[ \t]*{_PERSON}"), NAME),
    (re.compile(rf"(?:\b|(?<=[^\x00-\x7f]))(?i:{_NAME_FIELDS})[ \t]*[:：][ \t]*{_VALUE}"), NAME),
    # Dates before other numbers: what is left of a half-taken date would still tell it.
    (re.compile(rf"(?<!\d){_YEAR}\s*年\s*\d{{1,2}}\s*月(?:\s*\d{{1,2}}\s*[日号])?"), DATE),
    (re.compile(rf"(?<![\d.]){_YEAR}([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?:T[\d:.]+Z?)?(?![\d])"), DATE),
    (re.compile(rf"(?<![\d.])(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\1(?:{_YEAR}|\d\d)(?![\d])"), DATE),
    (re.compile(r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"), DATE),
    (re.compile(rf"\b{_MONTH}[ \t]+\d{{1,2}}(?:st|nd|rd|th)?,?[ \t]+{_YEAR}\b", re.I), DATE),
    (re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?:[ \t]+of)?[ \t-]+{_MONTH},?[ \t-]+(?:{_YEAR}|\d\d)\b", re.I), DATE),
    (re.compile(rf"\b{_MONTH},?[ \t]+{_YEAR}\b", re.I), DATE),
    (
        re.compile(r"(?:(?<=\bin )|(?<=\bon )|(?<=\bdated )|(?<=\bfrom )|(?<=\bsince ))(?:0?[1-9]|1[0-2])/\d{2,4}(?!\d|/)", re.I),
        DATE,
    ),
    (re.compile(r"(?<![\d:])\d{1,2}:\d{2}(?::\d{2}|[ \t]*(?:[ap]m\b|[ap]\.m\.))", re.I), TIME),
    (
        re.compile(rf"(?<!\w)(?i:{_NUMBER_FIELDS})[ \t]*[:：#.]*[ \t]*(?=[\w/+()-]*\d[\w/+()-]*\d)[\w/+()-]+(?:[ \t-]\d{{3,}})*"),
        NUMBER,
    ),
    (re.compile(r"(?<![\d.-])\d{3}-\d{2}-\d{4}(?!\d)"), NUMBER),
    (re.compile(r"(?<![\d.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?\d{3,4}[ .-]|\d{3}([ .-])\d{3,4}\1)\d{4}(?!\d)"), NUMBER),
    (re.compile(r"(?<![\w.])[A-Za-z]{0,4}[-_]?\d{6,}[A-Za-z]?(?![\d.]\d)"), NUMBER),
    (re.compile(r"(?<![\d.])(?:9\d|1[0-2]\d)(?=[ \t-]*(?:years?|yrs?\b|y[./ ]?o\b|y\b|岁|周岁))", re.I), AGE),
    (re.compile(r"(?:(?<=\baged )|(?<=\bage )|(?<=\bage: )|(?<=年龄：)|(?<=年龄:))(?:9\d|1[0-2]\d)(?!\.?\d)", re.I), AGE),
]

_HEADER_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "NameOfPhysiciansReadingStudy",
    "RequestingPhysician",
    "InstitutionName",
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "StudyID",
)
_MIN_LETTERS = 3
"""Characters of a name or id that is looked for: shorter ones are parts of words and measurements."""
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def scrub_report(text: str, names: Iterable[str] = ()) -> str:
    """A report without names, dates, phone and record numbers, addresses and ages above 89.

    What is taken out leaves a word in brackets, so that sentences stay whole; a text scrubbed before stays as it is.

    Args:
        text: the report, English or Chinese.
        names: names and ids to look for, in DICOM's spelling (Family^Given) or any other; see `identifiers_of`.
    """
    for pattern in _patterns(names):
        text = pattern.sub(NAME, text)
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def identifiers_of(path: str | Path) -> tuple[str, ...]:
    """Names and ids in the header of an image (a DICOM file, or a folder with a series); none if it is no DICOM.

    Raises:
        ReadError: a header that cannot be read.
    """
    found = [value for header in read_headers(path, _HEADER_NAMES) for name in _HEADER_NAMES for value in _each(header.get(name))]
    return tuple(dict.fromkeys(value for value in map(str.strip, map(str, found)) if value))


def refuse_burnt_in(path: str | Path) -> None:
    """Stop an image whose header says that names are burnt into its pixels.

    Args:
        path: an image, or a folder with a CT series or one of its files; what is no slice of it, as a dose report, is not shown
            and not looked at.

    Raises:
        ReadError: BurnedInAnnotation is YES, or a header cannot be read.
    """
    path = Path(path)
    is_series = path.is_dir() or any(header.get("Modality") == "CT" for header in read_headers(path, ("Modality",)))
    headers = (read_series_headers if is_series else read_headers)(path, ("BurnedInAnnotation",))
    if any(str(header.get("BurnedInAnnotation") or "").strip().upper() == "YES" for header in headers):
        reason = "says that a patient's data may be burnt into its pixels (BurnedInAnnotation YES)"
        raise ReadError(path, f"{reason}; blacken them and set the flag to NO, or show it as it is with --keep_phi")


def _patterns(names: Iterable[str]) -> list[re.Pattern]:
    """What finds names: whole ones in whatever case, the longest first, and then their parts as they are written in a sentence."""
    wholes = {" ".join(re.split(r"[\^=\s,]+", name)).strip() for name in names}
    parts = {part for whole in wholes for part in whole.split()}
    found = []
    for name in sorted(wholes, key=len, reverse=True):
        if len(name) >= _MIN_LETTERS or _CHINESE.search(name):
            words = name.split()
            turned = [words[start:] + words[:start] for start in range(len(words))]
            every = "|".join(r"[\s,^]+".join(map(re.escape, spelt)) for spelt in turned)
            found.append(re.compile(_alone(f"(?:{every})", name), re.I))
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _MIN_LETTERS or (_CHINESE.search(part) and len(part) > 1):
            # Not in lower case: a patient may be called Small or Brown.
            spellings = {part, part.upper(), part.capitalize()} - {part.lower()} | ({part} if _CHINESE.search(part) else set())
            if spellings:
                found.append(re.compile(_alone(f"(?:{'|'.join(map(re.escape, sorted(spellings)))})", part)))
    return found


def _alone(pattern: str, name: str) -> str:
    """Chinese is written without spaces, so there a name need not stand alone."""
    return pattern if _CHINESE.search(name) else rf"(?<!\w){pattern}(?!\w)"


def _each(stated: Any) -> list[Any]:
    """Values of an attribute that may be absent or hold one or several."""
    if stated is None:
        return []
    if isinstance(stated, str | PersonName):
        return [stated]
    return list(stated) if isinstance(stated, Iterable) else [stated]
