"""The searches behind the strategies: a complete tree search without overlap, a climb over orders for the rest."""
