"""tokenizer.json of single letters with byte fallback -> tokenizer.model with the same tokens, as llama.cpp wants it.

Without it a Gemma is taken for a GPT-2, whose bytes are other letters. Published ones bring the file; nano does not.
"""

from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import read_json

SPACE = "▁"  # SentencePiece's sign for a space
SPECIAL = ("pad", "eos", "bos", "unk")


def write_vocabulary(merged: Path, out: Path) -> None:
    """Write `out`, a SentencePiece model of the tokens of `merged`.

    Raises:
        InputError: its tokens are not single letters, or one holds the sign for a space.
    """
    from sentencepiece import sentencepiece_model_pb2

    schema: Any = sentencepiece_model_pb2  # made at import
    path = merged / "tokenizer.json"
    tokenizer: Any = read_json(path)
    model = tokenizer["model"]
    if model["type"] != "BPE" or model.get("merges") or not model.get("byte_fallback"):
        raise InputError(
            f"{merged / 'tokenizer.model'} is missing, and {path} has merges; copy it from the base model."
        )
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    pieces = {index: piece for piece, index in model["vocab"].items()}
    pieces |= {index: token["content"] for index, token in added.items()}
    if any(SPACE in piece for piece in pieces.values()):
        raise InputError(f"{path} has a token with {SPACE}, which llama.cpp takes for a space; take it out.")

    proto = schema.ModelProto()
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = proto.normalizer_spec.remove_extra_whitespaces = False
    trainer, kinds = proto.trainer_spec, schema.ModelProto.SentencePiece
    trainer.model_type, trainer.vocab_size, trainer.byte_fallback = trainer.BPE, max(pieces) + 1, True
    for name in SPECIAL:
        setattr(trainer, f"{name}_piece", f"<{name}>")
        setattr(trainer, f"{name}_id", model["vocab"][f"<{name}>"])
    for index in range(max(pieces) + 1):
        text = pieces.get(index, f"<unused{index}>")
        if text == "<unk>":
            kind = kinds.UNKNOWN
        elif index not in pieces:
            kind = kinds.UNUSED
        elif index in added:
            kind = kinds.CONTROL if added[index]["special"] else kinds.USER_DEFINED
        else:
            kind = kinds.BYTE if text.startswith("<0x") and len(text) == 6 else kinds.NORMAL
        proto.pieces.add(piece=text.replace(" ", SPACE), score=-float(index), type=kind)
    out.write_bytes(proto.SerializeToString())
