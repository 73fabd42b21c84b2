"""Does the evidence support the claim?"""

from agents.verify.by_lm import JudgeVerifier
from agents.verify.by_model import ModelVerifier, SecondOpinion
from agents.verify.rules import RuleVerifier
from agents.verify.trained import TrainedVerifier

__all__ = ["JudgeVerifier", "ModelVerifier", "RuleVerifier", "SecondOpinion", "TrainedVerifier"]
