"""Trading days, listings, daily prices, corporate actions and the monthly price report."""
