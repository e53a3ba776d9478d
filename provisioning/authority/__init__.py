"""The city's side of policy: officials' keys, drafts they sign, and the repository that is published."""
