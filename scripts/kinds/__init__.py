"""Kinds of cases with their arrays: the truth of a finding as a mask, the picture for display, the way back to native pixels."""
