"""Does a reward model between label and policy save labels, and does it matter which duel is asked?"""
