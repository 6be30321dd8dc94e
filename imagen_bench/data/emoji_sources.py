"""The emoji sets that the bundled model may be trained on: package, version, licence, SHA-256 of the npm tarball."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EmojiSource:
    """One npm package. `style` is the word that captions use; `kind` is how its pictures are stored."""

    key: str
    package: str
    version: str
    sha256: str
    licence: str
    kind: str
    style: str = ""

    @property
    def tarball(self) -> str:
        """File name that `npm pack` gives the package."""
        return f"{self.package.lstrip('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def spec(self) -> str:
        """Name and version as npm takes them."""
        return f"{self.package}@{self.version}"


SOURCES = {
    source.key: source
    for source in (
        EmojiSource(
            "noto", "@iconify-json/noto", "1.2.9",
            "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad", "Apache-2.0", "iconify", "noto",
        ),
        EmojiSource(
            "twemoji", "@iconify-json/twemoji", "1.2.5",
            "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7", "CC-BY-4.0", "iconify", "twemoji",
        ),
        EmojiSource(
            "fluent", "@iconify-json/fluent-emoji-flat", "1.2.6",
            "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175", "MIT", "iconify", "fluent flat",
        ),
        EmojiSource(
            "fluent-3d", "@lobehub/fluent-emoji-3d", "1.1.0",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58", "MIT", "webp", "3d render",
        ),
        EmojiSource(
            "emojitwo", "@iconify-json/emojione", "1.2.3",
            "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e", "CC-BY-4.0", "iconify", "emojitwo",
        ),
        EmojiSource(
            "blob", "@iconify-json/noto-v1", "1.2.5",
            "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37", "Apache-2.0", "iconify", "blob",
        ),
    )
}  # fmt: skip

NAMES = EmojiSource(
    "names", "emojibase-data", "17.0.0",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a", "MIT", "names",
)  # fmt: skip
