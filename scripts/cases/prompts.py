"""The phrase that stands for a label which comes without one."""


def prompt_for(label: str) -> str:
    """AFLoc's prompt for a source that has labels and no phrases."""
    return f"Findings suggesting {label}."
