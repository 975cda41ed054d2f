"""What targets that speak C share: scalar expressions, places in memory, the decoding of flat positions."""
