"""The API's routes, a module a topic: what a request may say, what it is answered."""
