"""The company's own rule for who may come in: ``PORTAL_SIGN_IN_HOOK=package.module:function``.

A function with the signature of Chainlit's ``@cl.oauth_callback``.  It says more of somebody, or refuses them; it
cannot make them somebody else.  Whatever goes wrong in it admits nobody.
"""

from portal.sign_in.hook.admission_rule import hook_of
from portal.sign_in.hook.loading import load_hook

__all__ = ["hook_of", "load_hook"]
