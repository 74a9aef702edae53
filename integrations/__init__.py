"""What stands outside the bundles: experts' review in Label Studio, and DICOM. Knows bundles by datalists and predictions alone."""
