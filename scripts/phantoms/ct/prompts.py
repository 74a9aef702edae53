"""The prompt table of phantom volumes: three wordings that say that a finding is there and three that deny it.

Part of the wordings is the reports' own and part is not: a network must have learnt words, not sentences.
"""

from scripts.phantoms.ct.plan import FINDINGS

_WORDINGS: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "Emphysema": (
        ("Emphysema in the upper lobes.", "There is pulmonary emphysema.", "Emphysematous lungs with many air cysts."),
        ("No emphysema.", "There is no emphysematous change in the lungs.", "The lungs are free of emphysema."),
    ),
    "Mosaic attenuation pattern": (
        ("Mosaic attenuation of both lungs.", "A mosaic pattern is seen in the lungs.",
         "Mosaic lung density with air trapping."),
        ("No mosaic attenuation.", "There is no mosaic pattern in the lungs.",
         "The lung parenchyma is of homogeneous density."),
    ),
    "Interlobular septal thickening": (
        ("Interlobular septal thickening.", "Thickened interlobular septa in both lungs.",
         "There is a net of thick septal lines in the lung."),
        ("No interlobular septal thickening.", "The interlobular septa are not thickened.", "No thickening of septal lines."),
    ),
    "Ground-glass opacity": (
        ("Ground-glass opacities in the lungs.", "There is a ground-glass infiltrate in the lung.",
         "Hazy ground glass areas are present in a lobe."),
        ("No ground-glass opacity.", "There is no ground-glass infiltrate in the lungs.",
         "The lungs are free of ground glass."),
    ),
    "Consolidation": (
        ("There is consolidation in the lung.", "Airspace consolidation with air bronchograms.",
         "A consolidated area, consistent with pneumonia."),
        ("No consolidation.", "There is no airspace consolidation in the lungs.", "The lungs are free of consolidation."),
    ),
    "Atelectasis": (
        ("Linear atelectasis in the lower lobe.", "Atelectatic changes in the lung.",
         "A plate of atelectasis with volume loss is seen."),
        ("No atelectasis.", "There is no atelectatic change in the lungs.", "The lungs are free of atelectasis."),
    ),
    "Pulmonary fibrotic sequela": (
        ("Fibrotic sequelae in the lung apex.", "There is pleuroparenchymal scarring.",
         "Coarse fibrotic strands are seen in the apical lung."),
        ("No fibrotic scarring in the lungs.", "There is no pulmonary fibrosis.", "The lung apices are free of scarring."),
    ),
    "Pleural effusion": (
        ("There is a pleural effusion.", "Pleural fluid is present.", "Effusion in the pleural space."),
        ("No pleural effusion.", "There is no pleural fluid.", "The pleural spaces are free of fluid."),
    ),
    "Peribronchial thickening": (
        ("There is peribronchial thickening.", "Bronchial wall thickening in both lungs.",
         "The walls of the bronchi are thickened."),
        ("No peribronchial thickening.", "There is no bronchial wall thickening.",
         "The walls of the bronchi are not thickened."),
    ),
    "Bronchiectasis": (
        ("There is bronchiectasis.", "Dilated bronchi of the lung, consistent with bronchiectasis.",
         "Bronchiectatic changes in a lobe."),
        ("No bronchiectasis.", "There is no bronchial dilatation.", "The bronchi are not dilated."),
    ),
    "Lung nodule": (
        ("There is a lung nodule.", "A pulmonary nodule is present in the lobe.", "Solid nodular lesion of the lung."),
        ("No pulmonary nodule.", "There is no lung nodule.", "The lungs are free of nodules."),
    ),
    "Tracheal secretions": (
        ("Secretions in the trachea.", "There is mucus in the tracheal lumen.", "Mucoid density on the tracheal wall."),
        ("No tracheal secretion.", "There is no mucus in the trachea.", "The tracheal lumen is free of secretions."),
    ),
    "Cardiomegaly": (
        ("There is cardiomegaly.", "The heart is enlarged.", "Enlarged cardiac size."),
        ("No cardiomegaly.", "Heart size is normal.", "The heart is of normal size."),
    ),
    "Pericardial effusion": (
        ("There is a pericardial effusion.", "Pericardial fluid surrounds the heart.", "Effusion in the pericardial space."),
        ("No pericardial effusion.", "There is no pericardial fluid.", "The pericardial space is free of fluid."),
    ),
    "Coronary artery wall calcification": (
        ("Coronary artery calcification.", "There are calcified plaques in the coronary arteries.",
         "The coronary arteries are calcified."),
        ("No coronary artery calcification.", "There is no calcified coronary plaque.",
         "The coronary arteries are free of calcification."),
    ),
    "Aortic aneurysm": (
        ("There is an aortic aneurysm.", "The aorta is dilated.", "Aneurysmal dilatation of the thoracic aorta."),
        ("No aortic aneurysm.", "There is no aneurysmal dilatation of the aorta.", "The aorta is not dilated."),
    ),
    "Arterial wall calcification": (
        ("Wall calcifications of the aorta.", "There are calcified plaques in the aorta.", "The aortic wall is calcified."),
        ("No aortic wall calcification.", "There is no calcified plaque in the aorta.",
         "The aortic wall is free of calcification."),
    ),
    "Hiatal hernia": (
        ("There is a hiatal hernia.", "Sliding hiatus hernia.", "A hiatal hernia of the stomach is seen at the esophagus."),
        ("No hiatal hernia.", "There is no hiatus hernia.", "The esophagus is normal without hiatal hernia."),
    ),
    "Esophageal wall thickening": (
        ("There is esophageal wall thickening.", "The wall of the esophagus is thickened.", "Thick esophageal wall."),
        ("No esophageal wall thickening.", "There is no thickening of the esophagus.",
         "The esophageal wall is not thickened."),
    ),
    "Thyroid nodule": (
        ("There is a thyroid nodule.", "The thyroid gland contains a hypodense nodule.", "A nodule in a lobe of the thyroid."),
        ("No thyroid nodule.", "There is no nodule in the thyroid gland.", "The thyroid gland is free of nodules."),
    ),
    "Hepatic steatosis": (
        ("There is hepatic steatosis.", "Fatty infiltration of the liver.", "The liver is fatty with decreased density."),
        ("No hepatic steatosis.", "There is no fatty infiltration of the liver.", "The liver is not fatty."),
    ),
    "Liver cyst": (
        ("There is a cyst in the liver.", "Simple hepatic cyst.", "The liver contains a hypodense cystic lesion."),
        ("No hepatic cyst.", "There is no cystic lesion of the liver.", "The liver is free of cysts."),
    ),
    "Gallstones": (
        ("There are gallstones.", "Cholelithiasis is seen.", "Calcified stones lie in the gallbladder."),
        ("No gallstones.", "There is no calculus in the gallbladder.", "The gallbladder is free of stones."),
    ),
    "Splenic lesion": (
        ("There is a focal splenic lesion.", "The spleen contains a hypodense lesion.", "Low-density lesion of the spleen."),
        ("No focal splenic lesion.", "There is no lesion in the spleen.", "The spleen is homogeneous."),
    ),
    "Pancreatic cyst": (
        ("There is a pancreatic cyst.", "Cystic lesion of the pancreas.", "The pancreas contains a cyst."),
        ("No pancreatic cyst.", "There is no cystic lesion in the pancreas.", "The pancreas is free of cysts."),
    ),
    "Adrenal nodule": (
        ("There is an adrenal nodule.", "The adrenal gland contains a nodule, probably an adenoma.", "Nodular adrenal gland."),
        ("No adrenal nodule.", "There is no nodule in the adrenal glands.", "The adrenal glands are free of nodules."),
    ),
    "Kidney stone": (
        ("There is a stone in the kidney.", "Nephrolithiasis is seen.", "A calculus of the kidney."),
        ("No kidney stone.", "There is no renal calculus.", "The kidneys are free of stones."),
    ),
    "Renal cyst": (
        ("There is a renal cyst.", "Simple cortical cyst of the kidney.", "The kidney contains a cystic lesion."),
        ("No renal cyst.", "There is no cystic lesion in the kidneys.", "The kidneys are free of cysts."),
    ),
    "Gastric wall thickening": (
        ("There is gastric wall thickening.", "The wall of the stomach is thickened.", "Thick gastric wall."),
        ("No gastric wall thickening.", "There is no thickening of the stomach wall.", "The gastric wall is not thickened."),
    ),
    "Bowel wall thickening": (
        ("There is bowel wall thickening.", "The wall of the colon is thickened.", "Thick-walled colon, suggesting colitis."),
        ("No bowel wall thickening.", "There is no thickening of the colon.", "The wall of the colon is not thickened."),
    ),
    "Vertebral compression fracture": (
        ("There is a vertebral compression fracture.", "A vertebral body has lost height.",
         "Compression fracture of a vertebra of the spine."),
        ("No vertebral compression fracture.", "There is no vertebral height loss.", "Vertebral body heights are preserved."),
    ),
    "Sclerotic bone lesion": (
        ("There is a sclerotic bone lesion in the spine.", "A vertebral body contains a sclerotic focus.",
         "Osteoblastic lesion of a vertebra."),
        ("No sclerotic bone lesion in the spine.", "There is no vertebral sclerosis.",
         "The vertebrae are free of sclerotic lesions."),
    ),
}  # fmt: skip


def prompt_table() -> dict:
    """The table, in the form that `scripts.reports.by_anatomy.prompts.read_anatomy_prompts` reads.

    Returns:
        {"about": text, "findings": [{"label", "anatomy", "positive": [3 texts], "negative": [3 texts]}, ...]}, findings in the
        order of `FINDINGS`.
    """
    return {
        "about": "Findings of the phantom volumes of scripts.phantoms.ct, on anatomies of the wide table.",
        "findings": [
            {"label": label, "anatomy": finding.anatomy, "positive": list(positive), "negative": list(negative)}
            for label, finding in FINDINGS.items()
            for positive, negative in [_WORDINGS[label]]
        ],
    }
