"""The operations that a network is made of between the front end and the code: what transform scripts rewrite."""
