"""Sections, sentences, cleaning and caption sampling, on texts written for these tests."""

import collections

import numpy as np
import pytest

from scripts.reports.sections import clean_sentence, fold_ascii, report_sections, report_sentences, sample_caption

MIMIC = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with cough  // eval for pneumonia

 COMPARISON:  Radiograph from ___.

 FINDINGS:

 The lungs are clear without
 focal consolidation.  Heart size is normal.

 IMPRESSION:

 1. No acute process.
 2. Stable granuloma.

 NOTIFICATION:  Discussed with Dr. ___ at 5 p.m. by phone.
"""


def test_sections_of_a_mimic_report():
    sections = report_sections(MIMIC)
    assert sections["findings"] == "The lungs are clear without\n focal consolidation.  Heart size is normal."
    assert sections["impression"] == "1. No acute process.\n 2. Stable granuloma."
    assert "cough" in sections["others"] and "Dr. ___" in sections["others"]
    assert report_sentences(MIMIC) == [
        "the lungs are clear without focal consolidation",
        "heart size is normal",
        "no acute process",
        "stable granuloma",
    ]


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("Findings: clear. \nImpression: normal.", "clear.", "normal."),
        ("FINDINGS: clear lungs. IMPRESSION: normal.", "clear lungs.", "normal."),
        ("FINDINGS: clear lungs IMPRESSION: normal.", "clear lungs", "normal."),
        ("Findings: clear lungs. Impression: normal.", "clear lungs.", "normal."),
        ("FINDINGS\nclear lungs.\nCONCLUSION\nnormal.", "clear lungs.", "normal."),
        ("FINDING:\n clear\nCONCLUSIONS:\n normal", "clear", "normal"),
        ("FINDINGS AND IMPRESSION:\n clear", "clear", ""),
        ("FINDINGS/IMPRESSION: clear", "clear", ""),
        ("Findings / Impression: clear", "clear", ""),
        ("IMPRESSION: normal", "", "normal"),
        ("Impression - normal chest.", "", "normal chest."),
        ("OPINION: normal", "", "normal"),
        ("PORTABLE CHEST RADIOGRAPH, ___:\n clear lungs.\nIMPRESSION: normal", "clear lungs.", "normal"),
        (
            "The findings: none of note. The impression is normal.",
            "The findings: none of note. The impression is normal.",
            "",
        ),
        ("just some text. heart normal.", "just some text. heart normal.", ""),
        ("HISTORY: cough.\n\nLungs are clear.\n\nIMPRESSION: normal", "Lungs are clear.", "normal"),
        (
            "INDICATION: cough\nCOMPARISON:\n\nNone.\n\n Heart is large.\nLungs clear.",
            "Heart is large.\nLungs clear.",
            "",
        ),
        ("REASON FOR EXAM: hoarseness\nLARYNX: polyp left.\nNOSE: clear.", "LARYNX: polyp left.\nNOSE: clear.", ""),
        ("HISTORY: cough\nLATERAL WALL: polyp.", "LATERAL WALL: polyp.", ""),
        ("FINDINGS: clear.\nADDENDUM: call made.\nFINDINGS: small nodule.", "clear.\nsmall nodule.", ""),
        ("EXAM:, CT.,TECHNIQUE AND FINDINGS: ,Small cyst.,IMPRESSION: ,Cyst.", "Small cyst.", "Cyst."),
        ("FINDINGS: clear. POSTOPERATIVE DIAGNOSIS: none", "clear. POSTOPERATIVE DIAGNOSIS: none", ""),
        ("TECHNIQUE: AP", "", ""),
        ("", "", ""),
        ("FINDINGS:\r\nclear\r\nIMPRESSION:\r\nnormal\r\n", "clear", "normal"),
    ],
)
def test_sections_in_many_spellings(text, findings, impression):
    sections = report_sections(text)
    assert (sections["findings"], sections["impression"]) == (findings, impression)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("1. Clear lungs. 2. Heart normal.", ["clear lungs", "heart normal"]),
        ("1) Clear lungs\n2) Heart normal", ["clear lungs", "heart normal"]),
        ("1.Clear lungs 3.5 cm.\n2.Heart normal", ["clear lungs 3 point 5 cm", "heart normal"]),
        ("Nodule of 3.5 cm. No edema.", ["nodule of 3 point 5 cm", "no edema"]),
        ("A 3.5 x 2.0 cm mass", ["a 3 point 5 x 2 point 0 cm mass"]),
        ("Seen by Dr. Smith. Unchanged.", ["seen by dr smith", "unchanged"]),
        ("Atelectasis vs. pneumonia. No edema", ["atelectasis vs pneumonia", "no edema"]),
        ("Taken at 5 a.m. on Monday. Clear.", ["taken at 5 am on monday", "clear"]),
        ("Taken at 5 a.m. Clear lungs.", ["taken at 5 am", "clear lungs"]),
        ("Lines, e.g. the tube, are fine.", ["lines eg the tube are fine"]),
        ("Compared to ___. Mild edema on ___, improved.", ["compared to", "mild edema on improved"]),
        ("___-year-old woman", ["year old woman"]),
        ("The lungs\nare clear.\nHeart normal.", ["the lungs are clear", "heart normal"]),
        ("Small effusion\n\nHeart normal", ["small effusion", "heart normal"]),
        ("- Small effusion\n- Heart normal\n• no edema", ["small effusion", "heart normal", "no edema"]),
        ("Clear lungs.No effusion.Heart normal.", ["clear lungs", "no effusion", "heart normal"]),
        ("Fracture of T12. No shift!  Is it new?", ["fracture of t12", "no shift", "is it new"]),
        (
            "Fever of 38.6?C and 9 ? 10 cells. Is it new? Yes!",
            ["fever of 38 point 6 c and 9 10 cells", "is it new", "yes"],
        ),
        ("FINDINGS:,1. Cyst, e.g., renal.,2. No mass.,Normal spleen.", ["cyst eg renal", "no mass", "normal spleen"]),
        ("Stable.", ["stable"]),
        ("Edema (mild.) Heart normal...", ["edema mild", "heart normal"]),
        ("No edema. Seen by Dr.", ["no edema", "seen by dr"]),
        ("... 3. - ___", []),
        ("Temperature\n38.5 degrees\n2.5 cm nodule", ["temperature 38 point 5 degrees 2 point 5 cm nodule"]),
    ],
)
def test_sentences(text, sentences):
    assert report_sentences(text) == sentences


def test_cleaning_folds_instead_of_dropping():
    assert (
        clean_sentence("Café-like  opacité, Größe µm \u00d72; patient\u2019s X-ray")
        == "cafe like opacite grosse um x2 patient s x ray"
    )
    assert clean_sentence("word_size kept; ___ gone") == "word_size kept gone"
    assert fold_ascii("naïve ﬁbrosis \u2013 Ångström") == "naive fibrosis - Angstrom"


def test_cleaned_sentences_hold_no_full_stop_and_clean_again_to_themselves():
    for sentence in report_sentences(MIMIC + " Size 3.5 cm at 5 p.m. vs. 2.1."):
        assert "." not in sentence
        assert clean_sentence(sentence) == sentence


def test_captions_are_subsets_in_random_order_and_repeat_with_the_seed():
    sentences = list("abcdef")
    captions = [sample_caption(sentences, np.random.default_rng(seed)) for seed in range(3000)]
    assert captions == [sample_caption(sentences, np.random.default_rng(seed)) for seed in range(3000)]
    parts = [caption.split(". ") for caption in captions]
    assert all(len(set(part)) == len(part) and set(part) <= set(sentences) for part in parts)
    sizes = collections.Counter(len(part) for part in parts)
    # The full report has chance .2, sizes 1 to 5 share the rest: .16 each; 5 standard deviations at 3000 draws are .034
    # and .037.
    assert all(abs(sizes[size] / 3000 - (0.16 if size < 6 else 0.2)) < 0.037 for size in range(1, 7))
    assert all(part == sentences for part in parts if len(part) == 6)
    firsts = collections.Counter(part[0] for part in parts if len(part) == 1)
    assert set(firsts) == set(sentences)


def test_full_report_has_its_own_chance():
    draw = [sample_caption(["a", "b"], np.random.default_rng(seed), full_report_chance=0.5) for seed in range(2000)]
    shares = {text: count / 2000 for text, count in collections.Counter(draw).items()}
    assert shares.keys() == {"a. b", "a", "b"}
    assert abs(shares["a. b"] - 0.5) < 0.06 and abs(shares["a"] - 0.25) < 0.05
    rng = np.random.default_rng(0)
    assert {sample_caption(["a", "b"], rng, full_report_chance=0) for _ in range(100)} == {"a", "b"}
    assert {sample_caption(["a", "b"], rng, full_report_chance=1) for _ in range(100)} == {"a. b"}


def test_an_impression_stays_whole_at_the_end():
    captions = {
        sample_caption(["a", "b", "c", "y", "z"], np.random.RandomState(seed), 2, full_report_chance=0) for seed in range(500)
    }
    assert all(caption.endswith("y. z") for caption in captions)
    # ordered subsets of three: 3 of one, 6 of two, 6 of three
    assert len(captions) == 15
    assert sample_caption(["y", "z"], np.random.default_rng(0), 2) == "y. z"


def test_repeated_sentences_are_kept_once():
    rng = np.random.default_rng(0)
    assert {sample_caption(["a", "a", "a"], rng) for _ in range(20)} == {"a"}
    assert sample_caption(["a", "b", "a", "z"], rng, 2, full_report_chance=1) == "b. a. z"


@pytest.mark.parametrize(
    ("arguments", "chance", "message"),
    [
        (([], None), 0.2, "no sentence"),
        ((["a"], None, 2), 0.2, "impression_count"),
        ((["a"], None), 1.2, "full_report_chance"),
    ],
)
def test_sampling_refuses(arguments, chance, message):
    with pytest.raises(ValueError, match=message):
        sample_caption(*arguments, full_report_chance=chance)
