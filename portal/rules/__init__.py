"""Pure rules: identities, the catalogue, the policy, and which pages a browser may return to."""
