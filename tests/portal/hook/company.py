"""A company's module with a sign-in hook, where the portal looks for it: in the working folder."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

MODULE: Final = "company_rules"

EVERYBODY: Final = """\
from typing import Dict, Optional
import chainlit as cl


@cl.oauth_callback
def oauth_callback(
  provider_id: str,
  token: str,
  raw_user_data: Dict[str, str],
  default_user: cl.User,
) -> Optional[cl.User]:
  return default_user
"""
"""The first example of Chainlit's guide ("OAuth"), to the letter."""

ONE_GOOGLE_DOMAIN: Final = """\
from typing import Dict, Optional
import chainlit as cl


@cl.oauth_callback
def oauth_callback(
  provider_id: str,
  token: str,
  raw_user_data: Dict[str, str],
  default_user: cl.User,
) -> Optional[cl.User]:
  if provider_id == "google":
    if raw_user_data["hd"] == "example.org":
      return default_user
  return None
"""
"""The second, to the letter."""

CHAINLIT: Final = '''\
"""As much of Chainlit 2.12.0 as a hook touches: chainlit/user.py, and oauth_callback of chainlit/callbacks.py."""
from dataclasses import dataclass, field

@dataclass
class User:
    identifier: str
    display_name: str | None = None
    metadata: dict = field(default_factory=dict)
    made_by: str = "chainlit"

def oauth_callback(func):
    global registered
    registered = func
    return func
'''


@contextmanager
def written(folder: Path, **sources: str) -> Iterator[None]:
    """Write modules to *folder*, make it the working folder, and forget them all afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.chdir(folder)
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        try:
            yield
        finally:
            for name in {*sources, "chainlit"} & (set(sys.modules) - before):
                del sys.modules[name]
