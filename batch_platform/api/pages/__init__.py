"""The pages for people: rendered here, behind the same tokens as everything else.

No build step, nothing from elsewhere, and every page works without its script. What a page shows is
gathered by operations; here it is only put into words and HTML.
"""
