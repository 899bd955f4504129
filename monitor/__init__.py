"""trigwatch: watches machine-learning models that run inside a hardware trigger."""
