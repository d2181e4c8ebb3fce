"""The rate reference in torch: the rule in closed form, online and minibatch training, the encoder."""
