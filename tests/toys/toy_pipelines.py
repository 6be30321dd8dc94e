"""Pipelines with small random weights in the layout of `diffusers`: SD, SDXL, SD3, FLUX, PixArt, IF, an upscaler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

WORDS = ["a", "red", "blue", "apple", "three", "pears", "an", "octopus", "on", "of", "the"]


def write_sd(folder: Path, flags_everything: bool = False) -> None:
    """Stable Diffusion, 16 x 16 pixels, with a safety checker that flags nothing or everything."""
    torch.manual_seed(0)
    checker = diffusers.pipelines.stable_diffusion.StableDiffusionSafetyChecker(
        transformers.CLIPConfig(text_config=_clip_sizes(), vision_config=_vision_sizes(), projection_dim=8)
    )
    with torch.no_grad():
        threshold = -1.5 if flags_everything else 1.5
        checker.concept_embeds_weights.fill_(threshold)
        checker.special_care_embeds_weights.fill_(1.5)
    diffusers.StableDiffusionPipeline(
        vae=_vae(), text_encoder=_clip_text(), tokenizer=_clip_tokenizer(folder), unet=_unet(),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=checker, feature_extractor=_image_processor(),
    ).save_pretrained(folder)  # fmt: skip


def write_sdxl(folder: Path) -> None:
    """Stable Diffusion XL with its two text encoders."""
    torch.manual_seed(1)
    unet = _unet(
        cross_attention_dim=32, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )  # fmt: skip
    diffusers.StableDiffusionXLPipeline(
        vae=_vae(), text_encoder=_clip_text(), tokenizer=_clip_tokenizer(folder),
        text_encoder_2=_clip_text(projected=True), tokenizer_2=_clip_tokenizer(folder), unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear"), add_watermarker=False,
    ).save_pretrained(folder)  # fmt: skip


def write_sd3(folder: Path, t5: Path) -> None:
    """Stable Diffusion 3 with its three text encoders."""
    torch.manual_seed(2)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=32, out_channels=4,
    )  # fmt: skip
    diffusers.StableDiffusion3Pipeline(
        transformer=transformer, vae=_vae(shift_factor=0.0, scaling_factor=1.5),
        text_encoder=_clip_text(projected=True), tokenizer=_clip_tokenizer(folder),
        text_encoder_2=_clip_text(projected=True), tokenizer_2=_clip_tokenizer(folder),
        text_encoder_3=_t5(t5, 32), tokenizer_3=_t5_tokenizer(t5),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip


def write_flux(folder: Path, t5: Path, guidance_embeds: bool = False) -> None:
    """FLUX.1; guided by two passes, or with guidance as an input as FLUX.1-dev has it."""
    torch.manual_seed(3)
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, guidance_embeds=guidance_embeds, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    diffusers.FluxPipeline(
        transformer=transformer, vae=_vae(shift_factor=0.0, scaling_factor=1.0),
        text_encoder=_clip_text(), tokenizer=_clip_tokenizer(folder), text_encoder_2=_t5(t5, 16),
        tokenizer_2=_t5_tokenizer(t5), scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)  # fmt: skip


def write_pixart(folder: Path, t5: Path) -> None:
    """PixArt-alpha."""
    torch.manual_seed(4)
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, caption_channels=16,
        in_channels=4, cross_attention_dim=16, out_channels=8, norm_num_groups=4, use_additional_conditions=False,
    )  # fmt: skip
    diffusers.PixArtAlphaPipeline(
        tokenizer=_t5_tokenizer(t5), text_encoder=_t5(t5, 16), vae=_vae(), transformer=transformer,
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    ).save_pretrained(folder)  # fmt: skip


def write_if(folder: Path, t5: Path, enlarges: bool = False) -> None:
    """DeepFloyd IF: stage I draws 16 x 16 pixels from text, stage II enlarges them to 32 x 32."""
    torch.manual_seed(6 if enlarges else 5)
    channels = 6 if enlarges else 3
    unet = diffusers.UNet2DConditionModel(
        sample_size=32 if enlarges else 16, in_channels=channels, out_channels=6, layers_per_block=1,
        block_out_channels=(8, 16), norm_num_groups=4, down_block_types=_IF_DOWN, up_block_types=_IF_UP,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", cross_attention_dim=32, encoder_hid_dim=16,
        encoder_hid_dim_type="text_proj", attention_head_dim=4, addition_embed_type="text",
        addition_embed_type_num_heads=2, resnet_time_scale_shift="scale_shift", time_embedding_type="positional",
        class_embed_type="timestep" if enlarges else None, act_fn="gelu", only_cross_attention=False,
        cross_attention_norm="group_norm", resnet_skip_time_act=False,
    )  # fmt: skip
    _heed_text(unet)
    scheduler = {
        "num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "epsilon",
        "variance_type": "learned_range", "thresholding": True, "dynamic_thresholding_ratio": 0.95,
        "sample_max_value": 1.5,
    }  # fmt: skip
    parts: dict[str, Any] = {
        "tokenizer": _t5_tokenizer(t5), "text_encoder": _t5(t5, 16), "unet": unet,
        "scheduler": diffusers.DDPMScheduler(**scheduler), "safety_checker": None, "feature_extractor": None,
        "watermarker": None, "requires_safety_checker": False,
    }  # fmt: skip
    if enlarges:
        parts["image_noising_scheduler"] = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    kind = diffusers.IFSuperResolutionPipeline if enlarges else diffusers.IFPipeline
    kind(**parts).save_pretrained(folder)


def write_upscaler(folder: Path) -> None:
    """The x4 upscaler of Stable Diffusion, which is stage III of IF: 32 x 32 to 128 x 128 pixels."""
    torch.manual_seed(7)
    unet = _unet(sample_size=32, in_channels=7, num_class_embeds=1000)
    vae = _vae(blocks=(8, 8, 8), scaling_factor=0.08333)
    diffusers.StableDiffusionUpscalePipeline(
        vae=vae, text_encoder=_clip_text(), tokenizer=_clip_tokenizer(folder), unet=unet,
        low_res_scheduler=diffusers.DDPMScheduler(),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
    ).save_pretrained(folder)  # fmt: skip


_IF_DOWN = ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D")
_IF_UP = ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D")


def _heed_text(network: Any) -> Any:
    """Make random weights depend on the text as much as on the noise."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if any(part in name for part in ("attn2.to_out", "attn2.to_v", "add_v_proj", "encoder_hid_proj")):
                parameter.mul_(8)
    return network


def _unet(cross_attention_dim: int = 16, sample_size: int = 8, in_channels: int = 4, **more: Any) -> Any:
    unet = diffusers.UNet2DConditionModel(
        sample_size=sample_size, in_channels=in_channels, out_channels=4, layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=cross_attention_dim,
        attention_head_dim=4, **more,
    )  # fmt: skip
    return _heed_text(unet)


def _vae(blocks: tuple[int, ...] = (8, 8), **more: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=blocks, in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * len(blocks), up_block_types=("UpDecoderBlock2D",) * len(blocks),
        **more,
    )  # fmt: skip


def _clip_sizes() -> dict[str, Any]:
    return {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "vocab_size": 600, "max_position_embeddings": 77, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    }  # fmt: skip


def _vision_sizes() -> dict[str, Any]:
    return {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 16,
    }  # fmt: skip


def _clip_text(projected: bool = False) -> Any:
    config = transformers.CLIPTextConfig(**_clip_sizes(), projection_dim=16)
    return (transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel)(config)


def _clip_tokenizer(folder: Path) -> Any:
    """CLIP's own kind of vocabulary: single letters, with and without the end of a word, and whole words."""
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    tokens = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=77)
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()
    return tokenizer


def _t5(folder: Path, width: int) -> Any:
    config = transformers.T5Config.from_pretrained(str(folder))
    config.d_model = width
    return transformers.T5EncoderModel(config)


def _t5_tokenizer(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(str(folder), model_max_length=32)


def _image_processor() -> Any:
    return transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
