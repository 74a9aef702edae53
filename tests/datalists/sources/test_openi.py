import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <uId id="CXR{uid}"/>
  <MedlineCitation><Article><Abstract>
    <AbstractText Label="COMPARISON">None.</AbstractText>
    <AbstractText Label="INDICATION">{indication}</AbstractText>
    <AbstractText Label="FINDINGS">{findings}</AbstractText>
    <AbstractText Label="IMPRESSION">{impression}</AbstractText>
  </Abstract></Article></MedlineCitation>
  {films}
</eCitation>
"""
FILM = '<parentImage id="{}"><figureId>F1</figureId><caption>Xray Chest PA and Lateral</caption></parentImage>'
# uid: (findings, impression, films as NLM and as Kaggle names them, projection)
STUDIES = {
    "1": (
        "No  XXXX\n effusion.",
        "Normal chest.",
        {"CXR1_1_IM-0001-3001": "Lateral", "CXR1_1_IM-0001-4001": "Frontal"},
    ),
    "2": ("", "Borderline cardiomegaly.", {"CXR2_IM-0652-1001": "Frontal", "CXR2_IM-0652-2001": "Frontal"}),
    "3": ("", "", {"CXR3_IM-1384-1001": "Frontal"}),
    "4": ("Clear lungs.", "", {"CXR4_IM-2050-1001": "Frontal"}),
    "5": ("Scoliosis.", "", {"CXR5_IM-2117-1003002": "Frontal"}),
}


def kaggle_name(uid, name):
    return f"{uid}_{name[name.index('IM-') :]}.dcm.png"


@pytest.fixture
def projections(table):
    def write(folder):
        rows = [f"{u},{kaggle_name(u, n)},{view}" for u, (_, _, films) in STUDIES.items() for n, view in films.items()]
        return table(folder / "indiana_projections.csv", "uid,filename,projection", *rows)

    return write


@pytest.fixture
def nlm(tmp_path, film, projections):
    root = tmp_path / "nlm"
    (root / "ecgen-radiology").mkdir(parents=True)
    for uid, (findings, impression, films) in STUDIES.items():
        text = {"findings": findings, "impression": impression, "indication": "Positive &amp; TB test"}
        text["films"] = "\n  ".join(FILM.format(name) for name in films)
        (root / "ecgen-radiology" / f"{uid}.xml").write_text(XML.format(uid=uid, **text))
        for name in films:
            film(root / "NLMCXR_png" / f"{name}.png")
    projections(root)
    return root


@pytest.fixture
def kaggle(tmp_path, film, table, projections):
    root = tmp_path / "kaggle"
    columns = "uid,MeSH,Problems,image,indication,comparison,findings,impression"
    rows = [f'{u},x,x,Xray,Positive & TB test,None.,"{f}",{i}' for u, (f, i, _) in STUDIES.items()]
    table(root / "indiana_reports.csv", columns, *rows)
    projections(root)
    for uid, (_, _, films) in STUDIES.items():
        for name in films:
            film(root / "images" / "images_normalized" / kaggle_name(uid, name))
    return root


def records_of(splits):
    return {record["study_id"]: record for records in splits.values() for record in records}


def test_both_layouts_tell_the_same(nlm, kaggle, assert_datalist):
    splits = SOURCES["openi"](nlm)
    records = records_of(splits)
    assert sorted(records) == ["1", "2_IM-0652-1001", "2_IM-0652-2001", "4", "5"]
    assert records["1"] == {
        "study_id": "1",
        "patient_id": "1",
        "image": str(nlm / "NLMCXR_png/CXR1_1_IM-0001-4001.png"),
        "report": "COMPARISON: None.\nINDICATION: Positive & TB test\nFINDINGS: No XXXX effusion.\nIMPRESSION: Normal chest.",
    }
    assert records["2_IM-0652-1001"]["report"].endswith("TB test\nIMPRESSION: Borderline cardiomegaly.")
    other = records_of(SOURCES["openi"](kaggle))
    assert other["1"]["image"] == str(kaggle / "images/images_normalized/1_IM-0001-4001.dcm.png")
    assert {k: (r["patient_id"], r["report"]) for k, r in other.items()} == {
        k: (r["patient_id"], r["report"]) for k, r in records.items()
    }
    assert_datalist(splits)


def test_without_projections(nlm):
    (nlm / "indiana_projections.csv").unlink()
    with pytest.raises(SourceError, match=r"alone says which films are frontal.*or give --frontal_only=False"):
        SOURCES["openi"](nlm)
    records = records_of(SOURCES["openi"](nlm, frontal_only=False))
    assert sorted(records) == ["1_IM-0001-3001", "1_IM-0001-4001", "2_IM-0652-1001", "2_IM-0652-2001", "4", "5"]


def test_xml_faults_at_once(nlm):
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]><eCitation>&b;</eCitation>'
    (nlm / "ecgen-radiology/1.xml").write_text(bomb)
    (nlm / "ecgen-radiology/2.xml").write_text("<eCitation>")
    with pytest.raises(SourceError) as raised:
        SOURCES["openi"](nlm)
    assert "1.xml (it has a DOCTYPE or an entity, which the release has not), 2.xml (not XML: " in str(raised.value)


def test_kaggle_faults_at_once(kaggle, table):
    table(kaggle / "indiana_reports.csv", "uid,indication,comparison,findings,impression", "1,a,b,c,d", "1,a,b,c,d")
    table(kaggle / "indiana_projections.csv", "uid,filename,projection", "9,9_IM-1.dcm.png,Oblique")
    with pytest.raises(SourceError) as raised:
        SOURCES["openi"](kaggle)
    text = str(raised.value)
    assert "projection is none of Frontal, Lateral: 9_IM-1.dcm.png ('Oblique')" in text
    assert "uid occurs more than once: 1" in text
    assert "films of indiana_projections.csv have no report: 9_IM-1.dcm.png" in text


def test_missing_films_and_folder(nlm, tmp_path):
    (nlm / "NLMCXR_png/CXR4_IM-2050-1001.png").unlink()
    with pytest.raises(SourceError, match=r"image files missing \(1\): CXR4_IM-2050-1001.png"):
        SOURCES["openi"](nlm)
    assert "4" not in records_of(SOURCES["openi"](nlm, skip_missing=True))
    with pytest.raises(SourceError, match="ecgen-radiology: not found"):
        SOURCES["openi"](tmp_path / "nowhere")
