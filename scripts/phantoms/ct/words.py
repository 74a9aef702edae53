"""The vocabulary of phantom CT reports: how each finding is stated, summed up and denied, and what is said of normal organs.

Sentences have slots: {place} ("in the right upper lobe"), {site} ("right upper lobe"), {side}, {part} and {size} ("14 mm").
"""

from typing import NamedTuple

import numpy as np

from scripts.phantoms.common.words import capitalized, choice
from scripts.phantoms.ct.plan import Plan


class Wording(NamedTuple):
    """Sentences of the findings section, phrases of the impression, and nouns that a denial takes."""

    stated: tuple[str, ...]
    brief: tuple[str, ...]
    denied: tuple[str, ...]


WORDINGS: dict[str, Wording] = {
    "Emphysema": Wording(
        ("There is emphysema {place}.", "Emphysematous changes are seen {place}.",
         "Centrilobular emphysema is present {place}.", "Multiple small air cysts {place}, compatible with emphysema.",
         "The lungs show emphysematous destruction {place}.", "{Site} emphysema."),
        ("emphysema {place}", "emphysematous changes of the lungs", "pulmonary emphysema"),
        ("emphysema", "emphysematous change in the lungs"),
    ),
    "Mosaic attenuation pattern": Wording(
        ("There is a mosaic attenuation pattern {place}.", "Mosaic attenuation of the lung parenchyma is seen.",
         "Lung density is heterogeneous with a mosaic pattern, suggesting small airway disease.",
         "Patchy areas of high and low attenuation {place} in a mosaic distribution.", "Both lungs show mosaic perfusion.",
         "Mosaic attenuation {place}, which may reflect air trapping."),
        ("mosaic attenuation of both lungs", "mosaic pattern of the lungs, possibly small airway disease"),
        ("mosaic attenuation", "mosaic pattern in the lungs"),
    ),
    "Interlobular septal thickening": Wording(
        ("There is interlobular septal thickening {place}.", "Thickened interlobular septa are seen {place}.",
         "The interlobular septa are thickened {place}.", "A net of thickened septal lines is noted {place}.",
         "{Site} interlobular septal thickening.", "Smooth thickening of the interlobular septa {place}."),
        ("interlobular septal thickening {place}", "thickened interlobular septa {place}"),
        ("interlobular septal thickening", "thickening of the interlobular septa"),
    ),
    "Ground-glass opacity": Wording(
        ("There is ground-glass opacity {place}.", "Patchy ground-glass opacities are seen {place}.",
         "Areas of ground-glass attenuation {place}, up to {size}.", "Hazy ground-glass density {place}.",
         "{Site} ground-glass opacities.", "Ground glass infiltrates are observed {place}."),
        ("{site} ground-glass opacity", "ground-glass opacities {place}, possibly infectious",
         "ground-glass infiltrate {place}"),
        ("ground-glass opacity", "ground-glass infiltrate in the lungs"),
    ),
    "Consolidation": Wording(
        ("There is consolidation {place}.", "An area of consolidation with air bronchograms is seen {place}.",
         "{Site} consolidation measuring {size}.", "Dense airspace consolidation {place}.",
         "A consolidated area of {size} is noted {place}.", "Airspace disease with air bronchograms {place}."),
        ("consolidation {place}, consistent with pneumonia", "{site} consolidation", "airspace consolidation {place}"),
        ("consolidation", "airspace consolidation in the lungs"),
    ),
    "Atelectasis": Wording(
        ("There is linear atelectasis {place}.", "Plate-like atelectasis is seen {place}.", "{Site} subsegmental atelectasis.",
         "Atelectatic changes are present {place}.", "A band of atelectasis {place}.",
         "Bandlike volume loss {place}, in keeping with atelectasis."),
        ("{site} atelectasis", "atelectasis {place}", "plate-like atelectasis {place}"),
        ("atelectasis", "atelectatic change in the lungs"),
    ),
    "Pulmonary fibrotic sequela": Wording(
        ("There are fibrotic sequelae {place}.", "Pleuroparenchymal fibrotic strands are seen {place}.",
         "Fibrotic scarring {place}.", "{Site} sequela changes with coarse strands in the lung.",
         "Sequelae of fibrosis are present {place}.", "Coarse fibrotic bands extend from the pleura {place}."),
        ("fibrotic sequelae {place}", "{site} pulmonary fibrotic changes", "pleuroparenchymal sequelae {place}"),
        ("fibrotic scarring", "pulmonary fibrosis"),
    ),
    "Pleural effusion": Wording(
        ("There is a {side} pleural effusion.", "A {side} pleural effusion is seen, {size} thick.", "{Side} pleural fluid.",
         "Pleural effusion on {side_of}.", "Free fluid in the {side} pleural space.",
         "Layering {side} pleural effusion measuring {size} in depth."),
        ("{side} pleural effusion", "{side} pleural fluid", "pleural effusion on {side_of}"),
        ("pleural effusion", "pleural fluid"),
    ),
    "Peribronchial thickening": Wording(
        ("There is peribronchial thickening {place}.", "The bronchial walls are thickened {place}.",
         "Peribronchial cuffing is seen {place}.", "Thickening of the bronchial walls {place}.",
         "Marked bronchial wall thickening {place}, suggesting bronchitis."),
        ("peribronchial thickening {place}", "bronchial wall thickening {place}"),
        ("peribronchial thickening", "bronchial wall thickening"),
    ),
    "Bronchiectasis": Wording(
        ("There is bronchiectasis {place}.", "Bronchiectatic changes are seen {place}.",
         "Dilated segmental bronchi with visible walls {place}.", "{Site} cylindrical bronchiectasis.",
         "Bronchial dilatation {place}, consistent with bronchiectasis.", "Tubular bronchiectases are noted {place}."),
        ("{site} bronchiectasis", "bronchiectasis {place}", "bronchiectatic changes {place}"),
        ("bronchiectasis", "bronchial dilatation"),
    ),
    "Lung nodule": Wording(
        ("There is a {size} nodule {place}.", "A pulmonary nodule measuring {size} is seen {place}.", "{Site} nodule, {size}.",
         "A solid nodule of {size} {place}.", "A round nodular lesion of {size} is noted {place}.",
         "A {size} lung nodule {place}, indeterminate."),
        ("{size} nodule {place}", "{site} nodule", "indeterminate pulmonary nodule {place}"),
        ("pulmonary nodule", "lung nodule"),
    ),
    "Tracheal secretions": Wording(
        ("There are secretions in the {part} trachea.", "Mucus is seen in the lumen of the trachea.",
         "Secretions adhere to the wall of the {part} trachea.", "A {size} mucoid density lies in the tracheal lumen.",
         "Tracheal secretions are noted.", "Mucus plug on the tracheal wall."),
        ("tracheal secretions", "mucus in the trachea"),
        ("tracheal secretion", "mucus in the trachea"),
    ),
    "Cardiomegaly": Wording(
        ("The heart is enlarged.", "There is cardiomegaly.", "Heart size is increased.",
         "The cardiothoracic ratio is increased, in keeping with cardiomegaly.", "Cardiac enlargement is present.",
         "The transverse diameter of the heart is above normal."),
        ("cardiomegaly", "enlarged heart", "cardiac enlargement"),
        ("cardiomegaly", "cardiac enlargement"),
    ),
    "Pericardial effusion": Wording(
        ("There is a pericardial effusion of {size}.", "Pericardial effusion is seen.",
         "Fluid surrounds the heart in the pericardial space, {size} thick.", "The pericardial space contains fluid.",
         "Circumferential pericardial fluid.", "A moderate pericardial effusion is present."),
        ("pericardial effusion", "pericardial fluid", "moderate pericardial effusion"),
        ("pericardial effusion", "pericardial fluid"),
    ),
    "Coronary artery wall calcification": Wording(
        ("There is calcification of {artery}.", "Calcified plaques are seen in {artery}.",
         "Coronary artery calcifications are present.",
         "Atherosclerotic calcification of the coronary arteries, mainly {artery}.", "The walls of {artery} are calcified.",
         "Coronary calcific plaques."),
        ("coronary artery calcification", "coronary atherosclerosis with calcification", "calcified coronary plaques"),
        ("coronary artery calcification", "calcified coronary plaque"),
    ),
    "Aortic aneurysm": Wording(
        ("The {part} aorta is dilated to {size}.", "There is an aneurysm of the {part} aorta measuring {size}.",
         "Aneurysmal dilatation of the {part} thoracic aorta.", "The diameter of the {part} aorta is increased, {size}.",
         "Fusiform aneurysm of the {part} aorta, {size}.", "The {part} aorta is aneurysmal."),
        ("aneurysm of the {part} aorta", "aneurysmal {part} aorta, {size}", "thoracic aortic aneurysm"),
        ("aortic aneurysm", "aneurysmal dilatation of the aorta"),
    ),
    "Arterial wall calcification": Wording(
        ("There are wall calcifications of {aorta}.", "Calcified atheromatous plaques are seen in {aorta}.",
         "{Aorta} shows calcified plaques.", "Atherosclerotic wall calcification of {aorta}.",
         "The wall of {aorta} is calcified.", "Calcific atheroma of {aorta}."),
        ("calcified plaques of the aorta", "aortic wall calcification", "aortic atherosclerosis"),
        ("aortic wall calcification", "calcified plaque in the aorta"),
    ),
    "Hiatal hernia": Wording(
        ("There is a hiatal hernia.", "A sliding hiatal hernia of {size} is seen.",
         "Part of the stomach lies above the diaphragm, in keeping with a hiatal hernia.",
         "Hiatus hernia at the lower end of the esophagus.", "A moderate hiatal hernia is present.",
         "Hiatal hernia measuring {size}."),
        ("hiatal hernia", "sliding hiatal hernia", "hiatus hernia"),
        ("hiatal hernia", "hiatus hernia"),
    ),
    "Esophageal wall thickening": Wording(
        ("The wall of the {part} esophagus is thickened.", "There is wall thickening of the {part} esophagus over {size}.",
         "Esophageal wall thickening is seen.", "Circumferential thickening of the {part} esophageal wall.",
         "The {part} esophagus is thick-walled.", "Mural thickening of the esophagus in its {part} third."),
        ("wall thickening of the {part} esophagus", "esophageal wall thickening, endoscopy advised",
         "thickened esophageal wall"),
        ("esophageal wall thickening", "thickening of the esophagus"),
    ),
    "Thyroid nodule": Wording(
        ("There is a {size} nodule in the {side} lobe of the thyroid.",
         "A hypodense nodule is seen in the {side} thyroid lobe.", "{Side} thyroid nodule, {size}.",
         "The {side} lobe of the thyroid gland contains a nodule.",
         "The thyroid gland shows a low-density nodule of {size} on the {side}.",
         "Nodular lesion of the {side} thyroid lobe."),
        ("{side} thyroid nodule", "{size} nodule of the thyroid", "thyroid nodule, ultrasound advised"),
        ("thyroid nodule", "nodule in the thyroid gland"),
    ),
    "Hepatic steatosis": Wording(
        ("There is geographic hepatic steatosis.", "The liver shows patchy fatty infiltration.",
         "Liver density is decreased in a map-like pattern, consistent with steatosis.",
         "Heterogeneous hepatosteatosis is seen.", "Fatty change of the liver with spared areas.",
         "Focal fatty areas are present in the liver parenchyma."),
        ("hepatic steatosis", "fatty infiltration of the liver", "fatty liver"),
        ("hepatic steatosis", "fatty infiltration of the liver"),
    ),
    "Liver cyst": Wording(
        ("There is a {size} cyst in the {side} lobe of the liver.", "A simple hepatic cyst measuring {size} is seen.",
         "{Side} hepatic lobe cyst, {size}.", "A hypodense cystic lesion of {size} in the liver.",
         "The {side} liver lobe contains a cyst.",
         "A fluid-density lesion in the {side} lobe of the liver, compatible with a cyst."),
        ("hepatic cyst", "cyst in the {side} lobe of the liver", "simple liver cyst"),
        ("hepatic cyst", "cystic lesion of the liver"),
    ),
    "Gallstones": Wording(
        ("There are gallstones.", "Calcified stones are seen in the gallbladder.", "Cholelithiasis.",
         "A {size} stone lies in the gallbladder lumen.", "The gallbladder contains calculi.",
         "Hyperdense gallstones measuring up to {size}."),
        ("cholelithiasis", "gallstones", "stones in the gallbladder"),
        ("gallstone", "calculus in the gallbladder"),
    ),
    "Splenic lesion": Wording(
        ("There is a {size} hypodense lesion in the spleen.", "A focal splenic lesion is seen.",
         "The spleen contains a low-density lesion of {size}.", "A splenic hypodensity measuring {size}, indeterminate.",
         "Focal hypodense area in the splenic parenchyma.", "A round lesion of the spleen, {size}."),
        ("focal splenic lesion", "indeterminate lesion of the spleen", "hypodense splenic lesion"),
        ("focal splenic lesion", "lesion in the spleen"),
    ),
    "Pancreatic cyst": Wording(
        ("There is a {size} cyst in the {part} of the pancreas.", "A cystic lesion is seen in the pancreatic {part}.",
         "Pancreatic cyst, {size}.", "The {part} of the pancreas contains a cystic lesion of {size}.",
         "A hypodense cystic pancreatic lesion measuring {size}.", "A fluid-density lesion of the pancreatic {part}."),
        ("cystic lesion of the pancreas", "pancreatic cyst", "cyst in the pancreatic {part}"),
        ("pancreatic cyst", "cystic lesion in the pancreas"),
    ),
    "Adrenal nodule": Wording(
        ("There is a {size} nodule in the {side} adrenal gland.", "{Side} adrenal nodule, {size}.",
         "A low-density nodule is seen in the {side} adrenal.",
         "The {side} adrenal gland contains a nodule, probably an adenoma.",
         "A {size} lesion of the {side} adrenal gland, compatible with adenoma.",
         "Nodular enlargement of the {side} adrenal gland."),
        ("{side} adrenal nodule", "{side} adrenal adenoma", "nodule of the {side} adrenal gland"),
        ("adrenal nodule", "nodule in the adrenal glands"),
    ),
    "Kidney stone": Wording(
        ("There is a {size} stone in the {side} kidney.", "A calculus is seen in the {side} kidney.",
         "{Side} nephrolithiasis.", "The {side} kidney contains a calculus of {size}.",
         "A {size} calculus in the {side} renal collecting system.", "Renal stone on the {side}, {size}."),
        ("{side} kidney stone", "{side} nephrolithiasis", "calculus of the {side} kidney"),
        ("kidney stone", "renal calculus"),
    ),
    "Renal cyst": Wording(
        ("There is a {size} cyst in the {side} kidney.", "A simple cortical cyst is seen in the {side} kidney.",
         "{Side} renal cyst measuring {size}.", "The {side} kidney bears an exophytic cyst of {size}.",
         "A hypodense cystic lesion of the {side} kidney.", "Cortical cyst of the {side} kidney, {size}."),
        ("{side} renal cyst", "simple cyst of the {side} kidney", "renal cyst"),
        ("renal cyst", "cystic lesion in the kidneys"),
    ),
    "Gastric wall thickening": Wording(
        ("The gastric wall is thickened.", "There is wall thickening of the stomach, {size}.",
         "Thickening of the gastric wall is seen.", "The wall of the stomach measures {size} and is thickened.",
         "Asymmetric gastric wall thickening.", "Mural thickening of the stomach along the greater curvature."),
        ("gastric wall thickening, endoscopy advised", "wall thickening of the stomach", "thickened gastric wall"),
        ("gastric wall thickening", "thickening of the stomach wall"),
    ),
    "Bowel wall thickening": Wording(
        ("The wall of the {part} colon is thickened.", "There is segmental wall thickening of the {part} colon.",
         "Bowel wall thickening is seen over {size}.", "Circumferential mural thickening of the {part} colon.",
         "A thick-walled segment of the {part} colon, {size} long.", "Colonic wall thickening, suggesting colitis."),
        ("wall thickening of the {part} colon", "bowel wall thickening, possibly colitis",
         "segmental colonic wall thickening"),
        ("bowel wall thickening", "thickening of the colon"),
    ),
    "Vertebral compression fracture": Wording(
        ("There is a compression fracture of {part}.", "The {part} vertebral body has lost height.",
         "Anterior wedge deformity of {part}, consistent with a compression fracture.",
         "Loss of height of the {part} vertebra.", "Compression fracture of the vertebral body {part}.",
         "The {part} vertebra is collapsed."),
        ("compression fracture of {part}", "{part} vertebral compression fracture", "height loss of the {part} vertebra"),
        ("vertebral compression fracture", "vertebral height loss"),
    ),
    "Sclerotic bone lesion": Wording(
        ("There is a sclerotic lesion in {part}.", "A sclerotic focus of {size} is seen in the {part} vertebral body.",
         "Dense sclerotic bone lesion of {part}.", "The {part} vertebral body contains a sclerotic lesion.",
         "An osteoblastic lesion in the {part} vertebra, {size}.", "Focal sclerosis of the {part} vertebral body."),
        ("sclerotic lesion of {part}", "sclerotic bone lesion in the spine", "osteoblastic lesion of the {part} vertebra"),
        ("sclerotic bone lesion in the spine", "vertebral sclerosis"),
    ),
}  # fmt: skip

# Sentences on an organ of which these findings are absent; an empty set stands for all findings of the organ.
NORMAL: tuple[tuple[str, frozenset[str], tuple[str, ...]], ...] = (
    ("lung", frozenset(),
     ("The lungs are clear.", "Both lungs are well aerated.", "The lung parenchyma is normal.",
      "No abnormality in the lungs.")),
    ("lung", frozenset({"Pleural effusion"}),
     ("The pleural spaces are free.", "The pleura is unremarkable.", "No pleural effusion.")),
    ("lung", frozenset({"Lung nodule"}), ("No suspicious pulmonary nodule.", "No mass or nodule in either lung.")),
    ("lung", frozenset({"Consolidation", "Ground-glass opacity"}),
     ("No active infiltration in the lungs.", "No pneumonic infiltrate.")),
    ("lung", frozenset({"Bronchiectasis", "Peribronchial thickening"}),
     ("The bronchi are of normal caliber.", "Bronchi within the lungs are normal.")),
    ("trachea", frozenset(), ("The trachea is patent.", "The trachea and main bronchi are open.", "Tracheal lumen is clear.")),
    ("heart", frozenset({"Cardiomegaly"}),
     ("Heart size is normal.", "The heart is not enlarged.", "Cardiac size is within normal limits.")),
    ("heart", frozenset(),
     ("The heart is unremarkable.", "Heart and pericardium are normal.", "Normal heart without pericardial effusion.")),
    ("aorta", frozenset(),
     ("The aorta is normal.", "The aorta is of normal caliber without plaques.", "Thoracic aorta is unremarkable.")),
    ("esophagus", frozenset(),
     ("The esophagus is normal.", "Esophagus is unremarkable.", "The esophagus is of normal caliber.")),
    ("thyroid", frozenset(), ("The thyroid gland is homogeneous.", "Thyroid is unremarkable.", "The thyroid is normal.")),
    ("liver", frozenset(),
     ("The liver is normal.", "Liver parenchyma is homogeneous.", "No focal liver lesion.", "The liver has smooth contours.")),
    ("gallbladder", frozenset(),
     ("The gallbladder is normal.", "Gallbladder without stones.", "The gallbladder is unremarkable.")),
    ("spleen", frozenset(), ("The spleen is normal.", "Spleen is homogeneous.", "The spleen is unremarkable.")),
    ("pancreas", frozenset(),
     ("The pancreas is normal.", "Pancreas is unremarkable.", "Normal pancreas without focal lesion.")),
    ("adrenal gland", frozenset(),
     ("The adrenal glands are normal.", "Both adrenals are of normal size.", "Adrenal glands are unremarkable.")),
    ("kidney", frozenset(),
     ("The kidneys are normal.", "Both kidneys are unremarkable.", "Kidneys without stones or hydronephrosis.")),
    ("stomach", frozenset(), ("The stomach is unremarkable.", "Stomach wall is normal.", "The stomach is normal.")),
    ("bowel", frozenset(), ("Visible bowel loops are normal.", "The bowel is unremarkable.", "The visible colon is normal.")),
    ("spine", frozenset({"Vertebral compression fracture"}),
     ("Vertebral body heights are preserved.", "No vertebral fracture.")),
    ("spine", frozenset(),
     ("The thoracic spine is unremarkable.", "No destructive lesion of the vertebrae.", "The vertebrae are normal.")),
)  # fmt: skip

# How an organ is named in a list of normal ones.
NAMED = {
    "trachea": ("trachea",), "heart": ("heart",), "aorta": ("aorta", "thoracic aorta"), "esophagus": ("esophagus",),
    "thyroid": ("thyroid gland", "thyroid"), "liver": ("liver",), "gallbladder": ("gallbladder",), "spleen": ("spleen",),
    "pancreas": ("pancreas",), "adrenal gland": ("adrenal glands", "adrenals"), "kidney": ("kidneys",),
    "stomach": ("stomach",), "bowel": ("bowel", "visible bowel loops"),
}  # fmt: skip
LISTED = ("The {0} are unremarkable.", "The {0} are normal.", "The {0} show no abnormality.", "No abnormality of the {0}.")


def slots(plan: Plan, rng: np.random.Generator) -> dict[str, str]:
    """Words for the slots of a finding's sentences; "{Site}", "{Side}" and "{Aorta}" begin with a capital."""
    size = round(plan.size)
    words = {
        "size": f"{size} mm" if rng.random() < 0.65 else f"{size / 10:.1f} cm",
        "side": plan.side,
        "side_of": "both sides" if plan.side == "bilateral" else f"the {plan.side} side",
        "part": choice(("distal", "lower"), rng) if plan.part == "distal" else plan.part,
        "artery": "the coronary arteries"
        if plan.part == "several"
        else f"the {plan.part} coronary artery".replace("coronary coronary", "coronary"),
        "aorta": {"arch": "the aortic arch", "several": "the thoracic aorta"}.get(plan.part, f"the {plan.part} aorta"),
    }
    words["place"], words["site"] = _lung_place(plan, rng)
    return words | {name.capitalize(): capitalized(words[name]) for name in ("site", "side", "aorta")}


def _lung_place(plan: Plan, rng: np.random.Generator) -> tuple[str, str]:
    """Where in the lungs a finding lies, after its noun ("in the right upper lobe") and before ("right upper lobe")."""
    both = plan.side == "bilateral"
    if plan.part in ("upper", "middle", "lower"):
        one = (f"in the {plan.side} {plan.part} lobe", f"within the {plan.part} lobe of the {plan.side} lung")
        two = (f"in both {plan.part} lobes", f"in the {plan.part} lobes of both lungs")
        return choice(two if both else one, rng), f"{plan.side} {plan.part} lobe"
    if plan.part == "apex":
        return choice(
            ("in both lung apices", "at the apices of both lungs") if both else (f"in the {plan.side} lung apex",), rng
        ), ("biapical" if both else f"{plan.side} apical")
    whole = ("in both lungs", "throughout both lungs") if both else (f"in the {plan.side} lung",)
    return choice(whole, rng), "diffuse bilateral" if plan.part == "diffuse" else f"{plan.side} lung"
