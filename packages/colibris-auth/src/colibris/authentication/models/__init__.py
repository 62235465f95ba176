"""The tables of authentication, one module each: a project gets those that its backend needs."""
