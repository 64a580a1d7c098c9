"""Travel times: the one definition that plans, live ETAs and later the models' training share."""
