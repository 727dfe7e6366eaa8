"""Statistics: pure functions of arrays, that say how sure a sweep's numbers are.

Scores are oriented: higher is better (`samples.oriented` turns those that are minimised). A score of -inf is that of a
trial that has none, because it diverged or failed: it counts as worse than any other. Functions that cannot honour it
refuse it. Whatever is drawn at random comes from a Generator that the caller seeds, and from sorted values, so that the
order of trials never matters.
"""
