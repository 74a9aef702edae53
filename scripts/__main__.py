"""`python -m scripts VERB ...`: data sets, phantoms, weights and tracked runs from the command line.

Exit status: 0 done; 1 something about the data, with a message that says what; 2 the command itself is not understood.
"""

import sys

from scripts.commands.command_line import run_command
from scripts.commands.datalists import check_datalist_command, datalist_command, source_help
from scripts.commands.export import export_bundle_command
from scripts.commands.phantoms import phantoms_command
from scripts.commands.preparation import preprocess_ct_command
from scripts.commands.runs import find_run_command, register_model_command, reproduce_command
from scripts.commands.studies import label_efficiency_command
from scripts.commands.weights import convert_weights_command, export_weights_command

VERBS = {
    "check-datalist": check_datalist_command,
    "datalist": datalist_command,
    "preprocess-ct": preprocess_ct_command,
    "phantoms": phantoms_command,
    "convert-weights": convert_weights_command,
    "export-weights": export_weights_command,
    "export-bundle": export_bundle_command,
    "label-efficiency": label_efficiency_command,
    "reproduce": reproduce_command,
    "register-model": register_model_command,
    "find-run": find_run_command,
}


def main() -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["datalist"] and {"--help", "-h"} & set(arguments[2:]):
        return run_command(source_help, "scripts", [arguments[1]])
    return run_command(VERBS, "scripts", arguments)


if __name__ == "__main__":
    sys.exit(main())
