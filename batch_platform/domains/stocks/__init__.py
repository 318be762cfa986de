"""Stocks of the Korean market: what is traded (`market`) and what stands behind (`financials`).

The two halves know each other by asset keys and tables only; `definitions` puts them together.
"""
