"""A judge that likes the first answer: calibrate, balance, or ask twice?"""
