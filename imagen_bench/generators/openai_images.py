"""The `openai-images` generator: a model behind an endpoint of OpenAI's images API, or one that answers like it.

    [model]
    name = "gpt-image-1"
    generator = "openai-images"
    options = { size = "1024x1024", price_per_image = 0.04, requests_per_minute = 50, batch_size = 8 }

The key is read from the environment variable that `key_variable` names and is written nowhere. Such services take no
guidance weight (ask for w = 1 alone, or set `guidance_field`) and mostly no seed (or set `seed_field`): then their
images cannot be drawn again, and run.json says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from imagen_bench.config import Section, validate
from imagen_bench.errors import ConfigError, InputError, ModelError
from imagen_bench.generators.base import CallReport, Salvage, SampleRequest, generators
from imagen_bench.generators.openai_client import ImagesClient, Limits, Refused

if TYPE_CHECKING:
    import torch

SEED_LIMIT = 2**32
"""Seeds are sent modulo this: services take 32 bits."""

_OURS = frozenset({"model", "prompt", "n", "size", "response_format"})


class EndpointOptions(Section):
    """Options of the generator.

    Attributes:
        base_url: Where the API is, up to and with its version.
        model: What the service calls the model; the model's name where not given.
        size: Width x height of the images in pixels.
        key_variable: Environment variable that holds the key; empty for a service without one.
        response_format: "b64_json" or "url", for models that take this field; not sent where not given.
        seed_field: Field that takes the sample's seed, for services that have one.
        guidance_field: Field that takes the guidance weight, likewise.
        extra: Further fields of a request, such as `quality`.
        requests_per_minute: At most this many requests start within a minute.
        concurrency: Requests at once.
        retries: How often a request is sent again after 408, 409, 429, 5xx, a timeout or a broken answer.
        timeout: Seconds to wait for an answer.
        price_per_image: For the cost count, in `currency`.
        currency: Of the price.
        max_megabytes: Largest answer and image that is read.
        refused: "blank" keeps a grey image for a prompt that the service refuses, with a remark; "error" stops.
    """

    base_url: str = "https://api.openai.com/v1"
    model: str | None = None
    size: str = "1024x1024"
    key_variable: str = "OPENAI_API_KEY"
    response_format: Literal["b64_json", "url"] | None = None
    seed_field: str | None = None
    guidance_field: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    requests_per_minute: float | None = Field(default=None, gt=0)
    concurrency: int = Field(default=4, ge=1, le=64)
    retries: int = Field(default=6, ge=0)
    timeout: float = Field(default=180.0, gt=0)
    price_per_image: float = Field(default=0.0, ge=0)
    currency: str = "USD"
    max_megabytes: float = Field(default=64.0, gt=0)
    refused: Literal["blank", "error"] = "blank"

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address, expected one such as 'https://api.openai.com/v1'")
        if parts.username or parts.password or parts.query:
            raise ValueError("an address holds no key: put it into the environment variable of key_variable")
        return url.rstrip("/")

    @field_validator("size")
    @classmethod
    def _two_sides(cls, size: str) -> str:
        if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", size):
            raise ValueError(f"{size!r} is no size, expected width x height such as '1024x1024'")
        return size

    @field_validator("key_variable")
    @classmethod
    def _a_name(cls, name: str) -> str:
        if not re.fullmatch(r"|[A-Z_][A-Z0-9_]*", name):
            raise ValueError("expected the name of an environment variable, such as OPENAI_API_KEY, and never a key")
        return name

    @field_validator("extra")
    @classmethod
    def _not_ours(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_OURS & extra.keys()):
            raise ValueError(f"{taken[0]!r} is set by the benchmark; leave it out")
        return extra

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height."""
        width, height = self.size.split("x")
        return int(width), int(height)


class EndpointGenerator:
    """A model behind an images endpoint.

    Args:
        name: What reports call the model.
        options: Address, fields, limits.
        key: The key, or None.

    Raises:
        ModelError: httpx is not installed.
    """

    def __init__(self, name: str, options: EndpointOptions, key: str | None) -> None:
        self.name, self._options = name, options
        limits = Limits(
            retries=options.retries,
            timeout=options.timeout,
            requests_per_minute=options.requests_per_minute,
            max_bytes=int(options.max_megabytes * 1e6),
        )
        self._client = ImagesClient(options.base_url, key, limits)
        self._report = CallReport()
        self._salvage: Salvage | None = None

    def describe(self) -> dict[str, Any]:
        """Model, address, fields, and whether seeds are sent; nothing secret, no limits."""
        options = self._options
        seeds = "not sent: the images cannot be drawn again"
        if options.seed_field:
            seeds = f"sent as {options.seed_field!r}, modulo 2**32"
        return {
            "generator": "openai-images",
            "base_url": options.base_url,
            "model": options.model or self.name,
            "size": options.size,
            "extra": options.extra,
            "seeds": seeds,
            "guidance": f"sent as {options.guidance_field!r}" if options.guidance_field else "the service's own",
            "price_per_image": f"{options.price_per_image:g} {options.currency}",
        }

    def prepare(self, samples: Sequence[SampleRequest]) -> None:
        """Refuse a sweep that the service cannot make, before anything is paid.

        Raises:
            InputError: A guidance weight other than 1 for a service that takes none.
        """
        for weight in dict.fromkeys(sample.guidance_weight for sample in samples):
            self._check_weight(weight)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> torch.Tensor:
        """Request one image a prompt, several at once; where one fails for good, `salvage` has those that came.

        Raises:
            InputError: A guidance weight other than 1 for a service that takes none.
            ModelError: The service failed for good, refused a prompt that must not be, or sent no fitting image.
        """
        import torch

        self._check_weight(guidance_weight)
        self._report, self._salvage, before = CallReport(), None, self._client.counts()
        bodies = [self._body(text, seed, guidance_weight) for text, seed in zip(prompts, seeds, strict=True)]
        answers: list[Future[torch.Tensor | Refused]] = []
        pool = ThreadPoolExecutor(self._options.concurrency)
        try:
            answers += [pool.submit(self._image, body) for body in bodies]
            wait(answers, return_when=FIRST_EXCEPTION)
            # Those that were sent are paid: they are waited for, those still queued are not sent.
            pool.shutdown(cancel_futures=True)
            self._refuse_failures(answers, prompts)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            self._salvage = self._saved(answers, before)
            raise
        rows = self._rows(answers)
        self._report = self._report_on(before, list(rows.values()))
        return torch.stack([self._pixels(answer) for answer in rows.values()])

    def salvage(self) -> Salvage | None:
        """Images that the last call received before another of its requests failed for good, or before Ctrl-C."""
        return self._salvage

    def report(self) -> CallReport:
        """Which prompts the last call found refused, and its requests and price."""
        return self._report

    def _check_weight(self, weight: float) -> None:
        if self._options.guidance_field is None and weight != 1:
            raise InputError(
                f"{self.name} takes no guidance weight, w = {weight:g} is asked for: set "
                "sweep.guidance_weights = [1] (or --guidance 1), or options.guidance_field"
            )

    def _body(self, text: str, seed: int, weight: float) -> dict[str, Any]:
        options = self._options
        body = {"model": options.model or self.name, "prompt": text, "n": 1, "size": options.size, **options.extra}
        if options.response_format is not None:
            body["response_format"] = options.response_format
        if options.seed_field is not None:
            body[options.seed_field] = seed % SEED_LIMIT
        if options.guidance_field is not None:
            body[options.guidance_field] = weight
        return body

    def _image(self, body: Mapping[str, Any]) -> torch.Tensor | Refused:
        """The image of a request, uint8 3HW, or why the service refused."""
        from imagen_bench.images import decode_image

        try:
            data = self._client.image(body)
        except Refused as refusal:
            return refusal
        image = decode_image(data, f"answer of {self.name} to {body['prompt'][:60]!r}")
        found = (image.shape[2], image.shape[1])
        if found != self._options.pixels:
            raise ModelError(
                f"{self.name} sent an image of {found[0]}x{found[1]} pixels, {self._options.size} was asked for: "
                "set options.size to a size that it draws"
            )
        return image

    def _refuse_failures(self, answers: Sequence[Future[torch.Tensor | Refused]], prompts: Sequence[str]) -> None:
        """Raise the first failure among the answers, or the first refusal where there must be none."""
        for answer in answers:
            if not answer.cancelled():
                answer.result()
        if self._options.refused == "error":
            for answer, prompt in zip(answers, prompts, strict=True):
                reason = answer.result()
                if isinstance(reason, Refused):
                    raise ModelError(f"{self.name} refused {prompt!r}: {reason}; leave it out, or refused = 'blank'")

    def _rows(self, answers: Sequence[Future[torch.Tensor | Refused]]) -> dict[int, torch.Tensor | Refused]:
        """Answers that came, by row; a refusal that must not be is none."""
        came = {
            row: answer.result()
            for row, answer in enumerate(answers)
            if answer.done() and not answer.cancelled() and answer.exception() is None
        }
        keeps_refusals = self._options.refused == "blank"
        return {row: answer for row, answer in came.items() if keeps_refusals or not isinstance(answer, Refused)}

    def _saved(self, answers: Sequence[Future[torch.Tensor | Refused]], before: Mapping[str, int]) -> Salvage | None:
        import torch

        rows = self._rows(answers)
        if not rows:
            return None
        images = torch.stack([self._pixels(answer) for answer in rows.values()])
        return Salvage(tuple(rows), images, self._report_on(before, list(rows.values())))

    def _pixels(self, answer: torch.Tensor | Refused) -> torch.Tensor:
        """The image, uint8 3HW; grey for a refusal."""
        import torch

        width, height = self._options.pixels
        return torch.full((3, height, width), 128, dtype=torch.uint8) if isinstance(answer, Refused) else answer

    def _report_on(self, before: Mapping[str, int], answers: Sequence[torch.Tensor | Refused]) -> CallReport:
        refusals = {row: str(answer) for row, answer in enumerate(answers) if isinstance(answer, Refused)}
        images = len(answers) - len(refusals)
        usage: dict[str, float] = {name: count - before[name] for name, count in self._client.counts().items()}
        usage |= {"images": images, "refused": len(refusals)}
        usage[f"price_{self._options.currency}"] = images * self._options.price_per_image
        return CallReport({row: f"refused by the service: {reason}" for row, reason in refusals.items()}, usage)


@generators.register("openai-images")
def open_endpoint(name: str, options: dict[str, Any]) -> EndpointGenerator:
    """Use a model behind an endpoint of OpenAI's images API; nothing is requested yet.

    Raises:
        ConfigError: An unknown or wrong option, or the key's environment variable is not set.
    """
    settings = validate(EndpointOptions, options, "model.options")
    key = os.environ.get(settings.key_variable, "").strip() if settings.key_variable else None
    if key == "":
        raise ConfigError(
            f"the environment variable {settings.key_variable} is not set: put the key of {settings.base_url} there, "
            "or set model.options.key_variable ('' for a service without a key)"
        )
    return EndpointGenerator(name, settings, key)
