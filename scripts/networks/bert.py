"""BERT from a folder, a hub id or a configuration."""

from typing import Any

from transformers import BertConfig, BertModel

from scripts.files.errors import UserError


def load_bert(source: str | dict[str, Any], pretrained: bool) -> BertModel:
    """BERT without its pooler.

    Args:
        source: folder with a BERT (config.json, and weights when `pretrained`), a hub id for those who have a network, or a dict
            with BERT's configuration, which has no weights.
        pretrained: load the source's weights; False builds BERT from its config and starts at random.

    Raises:
        UserError: the source cannot be loaded (its path and the way out are named).
    """
    if isinstance(source, dict):
        return BertModel(BertConfig(**source), add_pooling_layer=False)
    try:
        # BertConfig, not AutoConfig: CXR-BERT is a plain BERT, and says it is of a type that only its own code knows.
        config = BertConfig.from_pretrained(source)
        if pretrained:
            return BertModel.from_pretrained(source, config=config, add_pooling_layer=False)
        return BertModel(config, add_pooling_layer=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot load BERT from '{source}': {error}. Give a folder with config.json"
            f"{' and model.safetensors' if pretrained else ''}, or a hub id where a network is reachable"
        ) from error


def bert_configuration(bert: BertModel) -> dict[str, Any]:
    """BERT's configuration without what transformers adds for its own book-keeping; `load_bert` takes it."""
    return {key: value for key, value in bert.config.to_diff_dict().items() if not key.startswith("_")}
