"""A request as an engine in this process takes it: rendered text and decoded pictures.

Both local engines render through the checkpoint's own processor, so that their prompts are equal
token by token. Knows no engine.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mgdata.data import Reply, Request, Scalar
from mgdata.errors import Rejected, StorageError
from mgdata.headers import probe
from mgdata.images import load

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SLOT = "<image>"
"""Where a picture stands in a request's text."""
REMEMBERED = 1 << 30
"""Bytes of decoded pictures that are kept: some thirty photos of twelve megapixels."""


def messages(request: Request, control: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """A request as chat messages whose content is a list of text and picture parts, in order.

    Captions and the like are data: a text of `control`, which would open another turn or picture,
    is broken by a space wherever it stands.

    Raises:
        Rejected: `image refused`: there are not as many slots as pictures.
    """
    said = request.user.split(SLOT)
    if len(said) != len(request.pictures) + 1:
        raise Rejected(
            "image refused", f"{len(said) - 1} {SLOT} for {len(request.pictures)} pictures"
        )
    content: list[dict[str, Any]] = []
    for number, text in enumerate(said):
        if number:
            content.append({"type": "image"})
        if text:
            content.append({"type": "text", "text": broken(text, control)})
    asked = [{"role": "user", "content": content}]
    if not request.system:
        return asked
    told = [{"type": "text", "text": broken(request.system, control)}]
    return [{"role": "system", "content": told}, *asked]


def broken(text: str, control: tuple[str, ...]) -> str:
    """`text` with a space after the first character of each control text."""
    for one in control:
        text = text.replace(one, f"{one[0]} {one[1:]}")
    return text


class Chat:
    """Renders requests with a checkpoint's processor (transformers' `AutoProcessor`)."""

    def __init__(self, processor: Any, template: Mapping[str, Scalar]) -> None:
        # Some checkpoints keep their chat template with the tokenizer alone.
        self._speaker = processor if processor.chat_template else processor.tokenizer
        self._tokenizer = processor.tokenizer
        self._template = dict(template)
        self.control = tuple(sorted(self._control(processor)))
        """Tokens that the template writes, that end a turn, or that stand for a picture."""

    def text(self, request: Request) -> str:
        """The whole prompt, up to where the model's own words begin.

        Raises:
            Rejected: as `messages`.
        """
        return self._rendered(messages(request, self.control))

    def decoded(self, tokens: Sequence[int]) -> str:
        """The text of an answer without its end; special tokens stay, as notations use them."""
        text = self._tokenizer.decode(
            list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        # The first bytes of a character that was cut off: servers leave them out as well.
        return text.rstrip("\ufffd")

    def _rendered(self, asked: list[dict[str, Any]]) -> str:
        return self._speaker.apply_chat_template(
            asked, add_generation_prompt=True, tokenize=False, **self._template
        )

    def _control(self, processor: Any) -> Iterator[str]:
        tokenizer = self._tokenizer
        content = [{"type": "image"}, {"type": "text", "text": ""}]
        written = self._rendered([{"role": "user", "content": content}])
        ends = {tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token}
        ends |= {getattr(processor, f"{kind}_token", None) for kind in ("image", "video")}
        for token in tokenizer.added_tokens_decoder.values():
            # Those for boxes stay what they are, as a question may give a region by them; so does
            # `<think>`, which a template may write too but no tokenizer calls special.
            if token.special and (token.content in written or token.content in ends):
                yield token.content


class Pictures:
    """Decoded pictures by their SHA-256: upright 8-bit RGB, the last ones remembered.

    Neighbouring requests share theirs. Threads may ask at once.
    """

    def __init__(self, stored: Callable[[str], bytes], most: int = REMEMBERED) -> None:
        self._stored = stored
        self._most = most
        self._held: OrderedDict[str, Picture] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __getitem__(self, sha256: str) -> Picture:
        """One picture.

        Raises:
            Rejected: `image refused`: it cannot be read or decoded; says which.
        """
        with self._lock:
            if found := self._held.get(sha256):
                self._held.move_to_end(sha256)
                return found
        picture = self._decoded(sha256)
        with self._lock:
            if sha256 not in self._held:
                self._held[sha256] = picture
                self._size += _bytes(picture)
            while self._size > self._most and len(self._held) > 1:
                self._size -= _bytes(self._held.popitem(last=False)[1])
        return picture

    def _decoded(self, sha256: str) -> Picture:
        from PIL import ImageOps

        try:
            data = self._stored(sha256)
            picture = load(data, probe(data))
        except (Rejected, StorageError, OSError, KeyError) as error:
            raise Rejected("image refused", f"{sha256[:16]}: {error}") from error
        return ImageOps.exif_transpose(picture).convert("RGB")


def _bytes(picture: Picture) -> int:
    return 3 * picture.width * picture.height


def failed(request: Request, reason: str, value: str) -> Reply:
    """The reply to a request that failed; `value` is cut to what a ledger can show."""
    return Reply(key=request.key, text="", finish="failed", reason=reason, value=value[:500])
