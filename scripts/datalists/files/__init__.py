"""The files that a datalist names: opened and held against their records, one module a kind of case."""
