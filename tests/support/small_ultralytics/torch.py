raise ImportError("it takes too long for processes that are many")
