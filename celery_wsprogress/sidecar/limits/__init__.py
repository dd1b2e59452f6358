"""What clients may cost: fair turns, budgets of processor time, and limits on connections."""
