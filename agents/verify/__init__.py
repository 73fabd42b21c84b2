"""Does the evidence support the claim?"""

from agents.verify.rules import RuleVerifier

__all__ = ["RuleVerifier"]
