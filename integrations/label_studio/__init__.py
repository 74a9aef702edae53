"""Expert review in Label Studio: predictions go there as pre-annotations, reviews come back as labels.

`python -m integrations.label_studio serve | stop | push | pull --help` tells what each does.
"""
