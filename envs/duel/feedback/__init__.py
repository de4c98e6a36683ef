"""What can happen to an answer on its way: noise, bias, delay."""
