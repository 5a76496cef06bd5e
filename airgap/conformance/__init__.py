"""Conformance: programs that let other people's test suites drive our workflows.

They are no part of the command: nothing else imports this package.
"""
