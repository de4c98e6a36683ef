"""Playing runs: from a specification to its folder.

``execute`` plays many runs on an engine; each is played by one of the two loops, ``policy_loop`` or ``arms_loop``.
"""
