"""Trains the small T5 encoder that ships with the bundled model, on text alone.

The result is an ordinary `transformers` folder (config.json, model.safetensors, tokenizer.json): a T5 v1.1
encoder, so that the bundled model loads its text encoder through the same code as T5-XXL. The task is
masked-token prediction, with a penalty that keeps the embeddings from sharing a few directions: what tells one
noun from another then has as much variance as what all captions have in common, and a small U-Net learns to read
it in half the steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from imagen_bench.files import atomic_write_text

PAD, EOS, UNK, MASK = "<pad>", "</s>", "<unk>", "<mask>"


class TextEncoderConfig(BaseModel):
    """Size and training recipe of the small encoder.

    `decorrelation` weighs the penalty of `second_moment_penalty` against the cross-entropy of the masked tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: int = 2048
    dim: int = 128
    layers: int = 3
    heads: int = 4
    ff_dim: int = 320
    max_length: int = 32
    mask_rate: float = 0.2
    decorrelation: float = 0.0
    steps: int = Field(default=1500, ge=20)
    batch_size: int = 64
    learning_rate: float = 2e-3
    seed: int = 0


def train_tokenizer(texts: Sequence[str], config: TextEncoderConfig, out: Path) -> None:
    """Trains a byte-pair tokenizer with T5's special tokens and saves it where `AutoTokenizer` finds it.

    Byte-pair merges keep the few hundred frequent words of a small world whole, which unigram pruning does
    not.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size, special_tokens=[PAD, EOS, UNK, MASK], show_progress=False,
        initial_alphabet=[chr(code) for code in range(33, 127)],
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        mask_token=MASK,
        model_max_length=config.max_length,
    )
    fast.save_pretrained(str(out))


def train_text_encoder(
    captions: Callable[[int], Sequence[str]],
    config: TextEncoderConfig,
    out: Path,
    log: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Trains tokenizer and encoder and saves both to `out`.

    Args:
        captions: gives that many texts, other ones at every call; the tokenizer is trained on the first 60,000.
        config: sizes and recipe.
        out: folder to write; what is there is replaced.
        log: called now and then with step, loss and accuracy of the masked tokens.
    """
    from transformers import AutoTokenizer

    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    train_tokenizer(captions(60_000), config, out)
    tokenizer = AutoTokenizer.from_pretrained(str(out))
    encoder = build_encoder(config, tokenizer)
    head = nn.Linear(config.dim, len(tokenizer))
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(config.seed)
    started = time.monotonic()
    for step, texts in enumerate(_batches(captions, config)):
        loss, accuracy = _masked_loss(encoder, head, tokenizer, texts, config, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if log is not None and (step % 100 == 0 or step == config.steps - 1):
            seconds = time.monotonic() - started
            log({"step": step, "loss": loss.item(), "accuracy": accuracy.item(), "seconds": seconds})
    encoder.half().save_pretrained(str(out))
    atomic_write_text(out / "training.json", json.dumps(config.model_dump(), indent=2) + "\n")


def build_encoder(config: TextEncoderConfig, tokenizer: Any) -> Any:
    """An untrained T5 v1.1 encoder of the configured size."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=config.dim,
            d_kv=config.dim // config.heads,
            d_ff=config.ff_dim,
            num_layers=config.layers,
            num_heads=config.heads,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def _masked_loss(
    encoder: Any,
    head: nn.Linear,
    tokenizer: Any,
    texts: Sequence[str],
    config: TextEncoderConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and accuracy of the masked tokens of one batch."""
    coded = tokenizer(list(texts), padding=True, truncation=True, max_length=config.max_length, return_tensors="pt")
    ids, mask = coded["input_ids"], coded["attention_mask"]
    masked, chosen = mask_tokens(ids, mask, tokenizer.mask_token_id, len(tokenizer), config.mask_rate, generator)
    hidden = encoder(input_ids=masked, attention_mask=mask).last_hidden_state
    logits = head(hidden[chosen])
    loss = F.cross_entropy(logits, ids[chosen])
    if config.decorrelation:
        loss = loss + config.decorrelation * second_moment_penalty(hidden[mask.bool()])
    return loss, (logits.argmax(1) == ids[chosen]).float().mean()


def second_moment_penalty(tokens: Tensor) -> Tensor:
    """Mean squared distance of the tokens' second moment from the identity; 0 where all directions weigh the same.

    The second moment is not centred, so a mean that all tokens share is penalised too. Covariance terms as in VICReg
    (arXiv 2105.04906, eq. 4), for tokens (N, D) that the encoder's last norm has brought to unit scale.
    """
    moment = tokens.T @ tokens / len(tokens)
    return (moment - torch.eye(len(moment))).square().sum() / len(moment)


def mask_tokens(
    ids: Tensor, mask: Tensor, mask_id: int, vocab_size: int, rate: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """BERT's corruption (arXiv 1810.04805, section 3.1): of the chosen tokens 80 % masked, 10 % random, 10 % kept.

    Returns:
        The corrupted ids (N, L) and a boolean (N, L), true where the loss is taken; never on padding.
    """
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & mask.bool()
    chosen[torch.arange(len(ids)), 0] |= ~chosen.any(1)
    how = torch.rand(ids.shape, generator=generator)
    corrupted = torch.where(chosen & (how < 0.8), torch.full_like(ids, mask_id), ids)
    random_ids = torch.randint(4, vocab_size, ids.shape, generator=generator)
    return torch.where(chosen & (how >= 0.9), random_ids, corrupted), chosen


def _batches(captions: Callable[[int], Sequence[str]], config: TextEncoderConfig) -> Iterator[Sequence[str]]:
    pool_batches = 50
    for step in range(config.steps):
        if step % pool_batches == 0:
            pool = captions(pool_batches * config.batch_size)
        start = (step % pool_batches) * config.batch_size
        yield pool[start : start + config.batch_size]
