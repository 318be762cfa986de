"""Daily advice on eating, walking and sleeping for people with irritable bowels."""
