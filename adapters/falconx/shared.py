"""One link an account: the actor that asks for quotes and the client that executes them share connections and quotes."""

from __future__ import annotations

import asyncio

from adapters.falconx.config import FalconXConfig
from adapters.falconx.link import FalconXLink

_links: dict[tuple[int, str, str, str], tuple[FalconXLink, int]] = {}


def acquire(config: FalconXConfig) -> FalconXLink:
    """The link of this account in the running loop; `release` it as often as it was acquired."""
    key = _key(config)
    link, users = _links.get(key) or (FalconXLink(config), 0)
    _links[key] = (link, users + 1)
    return link


async def release(link: FalconXLink) -> None:
    """Give a link back; the last user closes it."""
    key = _key(link.config)
    held, users = _links.get(key, (link, 1))
    if users > 1:
        _links[key] = (held, users - 1)
        return
    _links.pop(key, None)
    await link.close()


def _key(config: FalconXConfig) -> tuple[int, str, str, str]:
    return id(asyncio.get_running_loop()), config.lp, config.rest_url, config.api_key
