from scripts.cases import read_domain
from scripts.inferers.queries import Query, film_queries, phrase_pool

CXR = read_domain("cxr")
FILM = {
    "study_id": "s1",
    "patient_id": "p1",
    "labels": {"Pneumonia": 1, "Edema": 0, "Effusion": 0, "Nodule": 0, "Mass": 1},
    "findings": [
        {"label": "Pneumonia", "text": "left opacity", "boxes": [[0, 0, 2, 2]]},
        {"label": "Effusion", "text": "small effusion", "boxes": [[0, 0, 2, 2]]},
    ],
}
POOL = {"Edema": ["edema", "mild edema", "severe edema"], "Effusion": ["effusion"], "Mass": ["mass"]}


def test_what_a_film_is_asked():
    queries = film_queries(FILM, POOL, CXR)
    assert queries[:2] == [
        Query("left opacity", "present", "Pneumonia", 0),
        Query("small effusion", "present", "Effusion", 1),
    ]
    # Edema alone: Effusion has a finding, Nodule no phrase, Mass is there but has no place.
    absent, negated = queries[2:4]
    assert absent.kind == "absent" and absent.label == "Edema" and absent.text in POOL["Edema"]
    assert absent.finding is None and negated == Query("no edema", "negated", "Edema")
    assert queries[4:] == [Query(text, "not_groundable", "") for text in CXR.normal_statements]


def test_absent_phrases_only_for_labels_that_are_0():
    pool = {label: [label.lower()] for label in "ABCD"}
    record = {"study_id": "s1", "labels": {"A": 1, "B": 0, "C": 1}}
    asked = [(query.kind, query.label) for query in film_queries(record, pool, CXR)]
    assert asked[:2] == [("absent", "B"), ("negated", "B")] and {kind for kind, _ in asked[2:]} == {"not_groundable"}
    assert [query.kind for query in film_queries({"study_id": "s1"}, pool, CXR)] == ["not_groundable"] * len(CXR.normal_statements)


def test_the_choice_is_the_same_in_every_process_and_differs_between_films():
    pool = {"Edema": [f"edema {number}" for number in range(10)]}
    records = [{"study_id": f"s{number}", "labels": {"Edema": 0}} for number in range(100)]
    chosen = [film_queries(record, pool, CXR)[0].text for record in records]
    assert set(chosen) == set(pool["Edema"])
    # CRC-32 of "s0 Edema" and so on, modulo 10: Python's own hash would differ in every process.
    assert chosen[:12] == [f"edema {number}" for number in (4, 4, 5, 9, 3, 1, 6, 8, 1, 3, 5, 7)]


def test_the_pool_holds_each_phrase_once():
    other = {"study_id": "s2", "findings": [{"label": "Pneumonia", "text": text} for text in ("b", "a", "b")]}
    pool = phrase_pool([FILM, other, {"study_id": "s3"}], CXR)
    assert pool == {"Effusion": ["small effusion"], "Pneumonia": ["a", "b", "left opacity"]}


def test_a_finding_without_text_is_asked_by_its_label():
    record = {"study_id": "s1", "findings": [{"label": "Mass", "boxes": [[0, 0, 1, 1]]}]}
    assert film_queries(record, {}, CXR)[0] == Query("Findings suggesting Mass.", "present", "Mass", 0)
    assert phrase_pool([record], CXR) == {"Mass": ["Findings suggesting Mass."]}
