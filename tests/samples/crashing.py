raise RuntimeError("no such model")
