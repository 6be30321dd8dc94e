"""What each metric measures: name, direction, range, definition and source; its interval, the metric itself says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricFacts:
    """What a reader has to know of a metric.

    Attributes:
        label: Name, where run.json does not say it.
        higher_is_better: Direction, where run.json does not say it.
        what: What it measures, one sentence.
        range: Range of values.
        source: Paper that defines it.
        biased: Whether the value depends on the number of images, so that only equal numbers compare.
    """

    label: str
    higher_is_better: bool
    what: str
    range: str
    source: str
    biased: bool = False


_FRECHET = "Fréchet distance of two Gaussians fitted to the features of generated and reference images"
_DISTANCE = "0 for equal sets, no upper end"
_NAEEM = "Naeem et al. 2020, arXiv:2002.09797"
_KYNKAANNIEMI = "Kynkäänniemi et al. 2019, arXiv:1904.06991"
_HESSEL = "Hessel et al. 2021, arXiv:2104.08718"

FACTS: dict[str, MetricFacts] = {
    "clip_score": MetricFacts(
        "CLIP score",
        True,
        "Cosine similarity of an image and its prompt in the space of a CLIP model, mean of all images.",
        "-1 to 1",
        _HESSEL,
    ),
    "clip_score_100": MetricFacts(
        "CLIP score x 100", True, "The CLIP score times 100, the scale of torchmetrics.", "-100 to 100", _HESSEL
    ),
    "clipscore_hessel": MetricFacts(
        "CLIPScore without prefix",
        True,
        "Cosine similarity of an image and its prompt in the space of a CLIP model, negative ones set to 0, times 2.5.",
        "0 to 2.5",
        f"{_HESSEL}, without its prefix",
    ),
    "clipscore_hessel_prefix": MetricFacts(
        "CLIPScore",
        True,
        'Cosine similarity of an image and "A photo depicts" with its prompt, negative ones set to 0, times 2.5.',
        "0 to 2.5",
        _HESSEL,
    ),
    "fd": MetricFacts(
        "FD",
        False,
        f"{_FRECHET}, in the space of the named extractor. It is not FID, whose features are those of Inception.",
        _DISTANCE,
        "Heusel et al. 2017, arXiv:1706.08500, equation 6, on other features",
        True,
    ),
    "fid": MetricFacts(
        "FID",
        False,
        f"{_FRECHET}, 2048 features of the Inception network of 2015-12-05.",
        _DISTANCE,
        "Heusel et al. 2017, arXiv:1706.08500, equation 6",
        True,
    ),
    "fid_infinity": MetricFacts(
        "FID∞",
        False,
        "FID extrapolated to infinitely many images: a line through FID against 1/N of random subsets.",
        "near 0 for equal sets; noise can make it negative",
        "Chong and Forsyth 2020, arXiv:1911.07023",
    ),
    "kid": MetricFacts(
        "KID",
        False,
        "Unbiased squared maximum mean discrepancy of Inception features with a cubic polynomial kernel.",
        "0 on average for equal sets; can be negative",
        "Bińkowski et al. 2018, arXiv:1801.01401",
    ),
    "inception_score": MetricFacts(
        "Inception Score",
        True,
        "How sure the Inception classifier is of each image and how varied its answers are; no reference set.",
        "1 to 1008, the number of classes",
        "Salimans et al. 2016, arXiv:1606.03498",
        True,
    ),
    "precision": MetricFacts(
        "precision",
        True,
        "Share of generated images that lie among the reference images by nearest neighbours: fidelity.",
        "0 to 1",
        _KYNKAANNIEMI,
        True,
    ),
    "recall": MetricFacts(
        "recall",
        True,
        "Share of reference images that lie among the generated images by nearest neighbours: variety.",
        "0 to 1",
        _KYNKAANNIEMI,
        True,
    ),
    "density": MetricFacts(
        "density",
        True,
        "How many reference neighbourhoods an image lies in, over their expected number: fidelity.",
        "0 up; about 1 for equal distributions",
        _NAEEM,
        True,
    ),
    "coverage": MetricFacts(
        "coverage",
        True,
        "Share of reference images with a generated image in their neighbourhood: variety.",
        "0 to 1",
        _NAEEM,
        True,
    ),
    "fd_dinov2": MetricFacts(
        "FD (DINOv2 ViT-L/14)",
        False,
        f"{_FRECHET}, in the space of DINOv2 ViT-L/14, which agrees better with people than Inception.",
        _DISTANCE,
        "Stein et al. 2023, arXiv:2306.04675",
        True,
    ),
    "clip_fid": MetricFacts(
        "CLIP-FID",
        False,
        f"{_FRECHET}, in the space of a CLIP image encoder.",
        _DISTANCE,
        "Kynkäänniemi et al. 2022, arXiv:2203.06026",
        True,
    ),
    "cmmd": MetricFacts(
        "CMMD",
        False,
        "Squared maximum mean discrepancy of CLIP ViT-L/14-336 embeddings with a Gaussian kernel, times 1000.",
        "0 up for the biased estimate; the unbiased one can be negative",
        "Jayasumana et al. 2024, arXiv:2401.09603",
        True,
    ),
}
"""By the metric's registry name; a metric from elsewhere has no entry and is printed as run.json describes it."""
