"""What may befall an answer on its way: noise, bias, delay."""
