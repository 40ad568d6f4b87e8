"""DICOM to model input, and the geometry that maps a region of interest the same way."""
