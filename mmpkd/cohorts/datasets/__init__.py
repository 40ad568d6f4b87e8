"""One adapter a data set: `<name>.py` with `read(cohort, labels) -> CohortTables`."""
