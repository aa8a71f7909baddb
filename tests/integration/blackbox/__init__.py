"""The tests of Pillion alone: what Envoy does not define, or defines otherwise."""
