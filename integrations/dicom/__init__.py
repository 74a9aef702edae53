"""Pictures for the browser and the way back to the patient's voxels; and what keeps a patient's name out of both."""
