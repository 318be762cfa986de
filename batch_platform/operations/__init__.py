"""What watches over all domains: failures and who hears of them."""
