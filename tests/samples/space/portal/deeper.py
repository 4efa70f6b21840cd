from portal import WHOSE


def whose_too():
    return WHOSE
