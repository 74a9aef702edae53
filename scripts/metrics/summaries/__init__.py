"""Tables of cases -> figures with intervals."""
