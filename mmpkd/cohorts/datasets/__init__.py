"""A module or package per data set, each with a class over `mmpkd.cohorts.base.DataSet` that is called `DATA_SET`."""
