"""The studies of MIMIC-CXR whose reports cannot be split by their headers, and what to read of them.

The facts are those of the official parser, `custom_mimic_cxr_rules` in txt/section_parser.py, applied in
txt/create_section_files.py of https://github.com/MIT-LCP/mimic-cxr (archived; now in MIT-LCP/mimic-code; MIT licence,
Copyright (c) 2019 MIT Laboratory for Computational Physiology). There the text that is labelled is

- of a study in `MISNAMED`, the last section of the name given here, because the impression stands under a wrong header;
- of a study in `SPANS`, the characters from the first offset up to the second of the report as it stands in the file,
  because its headers cannot be told from its text. Both are 0 where the report says nothing of the images.

Keys are study identifiers. They were determined by hand on the released reports, which are not at hand here.
"""

# The section that holds the impression: its studies.
MISNAMED = {
    study: section
    for section, studies in {
        "examination": "59363654 53356173 50743547 59215320 55157853",
        "history": "51491012",
        "indication": "57936451 50058765 51966317 55124749 54365831 54654948",
        "note": "56451190",
        "recommendations": "50913680 59768032 59067458 59087630 58157373 56482935 58375018",
        "technique": "59279892 53202765 50808053",
    }.items()
    for study in studies.split()
}
SPANS = {
    "50525523": (201, 349),
    "57564132": (233, 554),
    "59982525": (313, 717),
    "53488209": (149, 475),
    "54875119": (234, 988),
    "50196495": (59, 399),
    "56579911": (59, 218),
    "52648681": (292, 631),
    "59889364": (172, 453),
    "53514462": (73, 377),
    "59505494": (59, 450),
    "53182247": (59, 412),
    "51410602": (47, 320),
    "56412866": (522, 822),
    "54986978": (59, 306),
    "59003148": (262, 505),
    "57150433": (61, 394),
    "56760320": (219, 457),
    "59562049": (158, 348),
    "52674888": (145, 296),
    "55258338": (192, 568),
    "59330497": (140, 655),
    "52119491": (179, 454),
    "58235663": (0, 0),
    "50798377": (0, 0),
    "54168089": (0, 0),
    "53071062": (0, 0),
    "56724958": (0, 0),
    "54231141": (0, 0),
    "53607029": (0, 0),
    "52035334": (0, 0),
}
