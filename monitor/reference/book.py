"""The Book: every page of what is normal, with an identity of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from emulator.pack import Unreadable, pack, unpack
from monitor.reference.page import AGAIN, Page, PageKey, identity
from monitor.trigger.header import Epoch


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Pages by key. A Book is a value: a new page makes a new Book.

    `version` is what people count: in a place, each Book that is promoted is the next. `id` is the digest of the pages.
    """

    pages: Mapping[PageKey, Page]
    version: int = 1

    def __iter__(self) -> Iterator[Page]:
        return iter(self.pages.values())

    def __len__(self) -> int:
        return len(self.pages)

    @property
    def id(self) -> str:
        """Digest of all pages' ids, in the order of their keys."""
        return identity("\n".join(self.pages[key].id for key in sorted(self.pages)).encode())

    def open(self, stream: str, epoch: Epoch) -> Page | None:
        """Return the page for an epoch of `stream`, or None; then `why` has the words."""
        return self.pages.get(PageKey.of(stream, epoch))

    def why(self, stream: str, epoch: Epoch) -> str:
        """Say why there is no page: what is the nearest that the Book knows."""
        wanted = PageKey.of(stream, epoch)
        near = [key for key in self.pages if key.stream == stream]
        if not near:
            return f"no page for stream {stream}"
        if not any(key.digest == wanted.digest for key in near):
            return f"no page for model {epoch.digest[:19] or epoch.model}"
        if not any(key.digest == wanted.digest and key.menu == wanted.menu for key in near):
            return f"no page for menu {epoch.menu}"
        return f"no page for prescale column {epoch.prescale_column}"

    def plus(self, page: Page) -> Book:
        """Return the Book with `page` added, or in place of the old one."""
        return Book({**self.pages, page.key: page}, self.version + 1)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        pages = {
            f"{i:04}": np.frombuffer(self.pages[key].to_bytes(), np.uint8) for i, key in enumerate(sorted(self.pages))
        }
        return pack({"book": self.version, "pages": [self.pages[key].id for key in sorted(self.pages)]}, pages)

    @classmethod
    def from_bytes(cls, content: bytes) -> Book:
        """Read what `to_bytes` wrote; raises `Unreadable`."""
        try:
            names, arrays = unpack(content)
        except Unreadable as error:
            raise Unreadable(f"it is no Book, or a damaged one ({error}): {AGAIN}") from error
        version = names.get("book")
        if type(version) is not int or version < 1:
            raise Unreadable(f"{len(content)} bytes are packed, but are not a Book: {AGAIN}")
        contents = [arrays[name].tobytes() for name in sorted(arrays)]
        if [identity(each) for each in contents] != names.get("pages"):
            raise Unreadable(f"its pages are not those that were written, it is damaged or older: {AGAIN}")
        pages = [Page.from_bytes(each) for each in contents]
        return cls({page.key: page for page in pages}, version)
