"""The code of a network: loops on one arena."""
