"""Is a predicted click rate worth a thousand readers?"""
