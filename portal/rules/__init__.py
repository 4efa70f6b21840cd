"""Pure rules: identities, the catalogue, the policy, and where a browser may be sent."""
