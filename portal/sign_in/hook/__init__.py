"""The company's own rule for sign-in admission: ``PORTAL_SIGN_IN_HOOK=package.module:function``.

A function with the signature of Chainlit's ``@cl.oauth_callback``.  It may refuse a person or give them roles, but not
change who they are.  Any error in it refuses.
"""

from portal.sign_in.hook.admission_rule import hook_of
from portal.sign_in.hook.loading import load_hook

__all__ = ["hook_of", "load_hook"]
